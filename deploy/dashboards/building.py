"""The parts of a dashboard in Grafana's JSON model (schema version 41), laid out in rows.

Every panel says what it shows, in which unit, and from where on it is bad: there is no default for that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS = 24
_PANEL_HEIGHT = 8
_TEXT_HEIGHT = 11
_STAT_HEIGHT = 4


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and what its series are called."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Level:
    """From this value on it is `colour`: orange is worth a look, red is bad."""

    at: float
    colour: str


def warn(at: float) -> Level:
    """Orange from here on."""
    return Level(at, "orange")


def bad(at: float) -> Level:
    """Red from here on."""
    return Level(at, "red")


def good(at: float) -> Level:
    """Green from here on: for what should be high."""
    return Level(at, "green")


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel without its place."""

    title: str
    description: str
    kind: str
    height: int
    body: Json


def graph(
    title: str, description: str, unit: str, levels: Sequence[Level], *queries: Query, stacked: bool = False
) -> Panel:
    """Series over time; no levels: nothing of it is good or bad by itself.

    Args:
        title: what it is.
        description: what it means, and what to do with it.
        unit: Grafana's name of it: s, bytes, reqps, percentunit ...
        levels: in ascending order; drawn as lines.
        queries: what to draw.
        stacked: upon one another.
    """
    custom = {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 30 if stacked else 8,
        "showPoints": "never",
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "line" if levels else "off"},
    }
    body = {
        "fieldConfig": _field_config(unit, levels, base="green", custom={**custom, "axisSoftMin": 0}),
        "options": {
            "legend": {
                "displayMode": "table",
                "placement": "bottom",
                "showLegend": True,
                "calcs": ["lastNotNull", "max"],
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": _targets(queries),
    }
    return Panel(title, description, "timeseries", _PANEL_HEIGHT, body)


def figure(
    title: str, description: str, unit: str, levels: Sequence[Level], query: Query, *, base: str = "green"
) -> Panel:
    """One number as it is now, in the colour of its level; `base` is the colour below the first."""
    body = {
        "fieldConfig": _field_config(unit, levels, base=base, custom={}),
        "options": {
            "colorMode": "value",
            "graphMode": "area",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "auto",
        },
        "targets": _targets([query]),
    }
    return Panel(title, description, "stat", _STAT_HEIGHT, body)


def text(title: str, description: str, markdown: str) -> Panel:
    """Words."""
    return Panel(title, description, "text", _TEXT_HEIGHT, {"options": {"mode": "markdown", "content": markdown}})


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading, side by side, so many to a line."""

    title: str
    panels: Sequence[Panel]
    to_a_line: int = 2


def label_variable(name: str, label: str, metric: str) -> Json:
    """A choice of any values that a label has; all of them at first."""
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": f"label_values({metric}, {label})", "refId": "variable"},
        "definition": f"label_values({metric}, {label})",
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def text_variable(name: str, label: str) -> Json:
    """A field to write in."""
    return {"name": name, "label": label, "type": "textbox", "query": "", "current": {"text": "", "value": ""}}


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One page of Grafana."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[Json] = ()

    def json(self) -> Json:
        """As Grafana's provisioning reads it."""
        source = {
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": "prometheus",
            "current": {"text": "Prometheus", "value": "prometheus"},
        }
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["wavemill"],
            "schemaVersion": 41,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "10s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "links": [
                {"type": "dashboards", "title": "Wavemill", "tags": ["wavemill"], "asDropdown": True, "keepTime": True}
            ],
            "templating": {"list": [source, *self.variables]},
            "annotations": {"list": [_ALERTS]},
            "panels": list(self._placed()),
        }

    def _placed(self) -> Iterator[Json]:
        top, number = 0, 0
        for row in self.rows:
            number += 1
            yield {
                "id": number,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": top, "w": _COLUMNS, "h": 1},
            }
            top += 1
            width = _COLUMNS // row.to_a_line
            for first in range(0, len(row.panels), row.to_a_line):
                line = row.panels[first : first + row.to_a_line]
                height = max(panel.height for panel in line)
                for place, panel in enumerate(line):
                    number += 1
                    yield {
                        "id": number,
                        "type": panel.kind,
                        "title": panel.title,
                        "description": panel.description,
                        "datasource": _SOURCE,
                        "gridPos": {"x": place * width, "y": top, "w": width, "h": height},
                        **panel.body,
                    }
                top += height


# When an alert of Wavemill's began to fire, as a line through every graph.
_ALERTS = {
    "name": "Alerts",
    "datasource": _SOURCE,
    "enable": True,
    "iconColor": "red",
    "expr": 'ALERTS{alertstate="firing", component!=""}',
    "titleFormat": "{{alertname}}",
    "step": "30s",
}


def _targets(queries: Sequence[Query]) -> list[Json]:
    return [
        {
            "refId": chr(ord("A") + number),
            "datasource": _SOURCE,
            "expr": query.expression,
            "legendFormat": query.legend,
            "editorMode": "code",
            "range": True,
        }
        for number, query in enumerate(queries)
    ]


def _field_config(unit: str, levels: Sequence[Level], *, base: str, custom: Json) -> Json:
    steps = [{"color": base, "value": None}, *({"color": level.colour, "value": level.at} for level in levels)]
    return {
        "defaults": {
            "unit": unit,
            "min": 0,
            "color": {"mode": "palette-classic" if custom else "thresholds"},
            "custom": custom,
            "thresholds": {"mode": "absolute", "steps": steps},
        },
        "overrides": [],
    }
