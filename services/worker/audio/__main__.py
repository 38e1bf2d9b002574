"""`python -m services.worker.audio FILE ...`: the audio engine from a shell."""

import sys

from services.worker.audio.cli import main

if __name__ == "__main__":
    sys.exit(main())
