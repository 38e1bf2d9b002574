"""`python -m deploy.client FOLDER`: writes the package `wavemill_client` into a folder."""

import sys
from pathlib import Path

from deploy.client.generation import generate

if __name__ == "__main__":
    print(f"The client is in {generate(Path(sys.argv[1]))}; it needs attrs, httpx and python-dateutil.")
