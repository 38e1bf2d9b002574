"""`python -m deploy.dashboards`: write deploy/grafana/dashboards/*.json."""

from deploy.dashboards.files import FOLDER, contents

for name, content in contents().items():
    (FOLDER / name).write_text(content)
