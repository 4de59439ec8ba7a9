"""What pretix asks of a seating plan (version 0.0.1), written anew as a JSON schema."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}


def thing(required: str, **fields: Schema) -> Schema:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "properties": fields,
        "required": required.split(),
        "additionalProperties": False,
    }


def several(items: Schema) -> Schema:
    return {"type": "array", "items": items}


POSITION = thing("x y", x=NUMBER, y=NUMBER)

SEAT = thing(
    "seat_guid seat_number position category",
    seat_guid={"type": "string", "pattern": "^[^ ].*[^ ]$"},
    seat_number=TEXT,
    uuid=TEXT,
    start_direction=TEXT_OR_NULL,
    radius=NUMBER,
    position=POSITION,
    category=TEXT,
)

ROW = thing(
    "seats row_number",
    row_number=TEXT,
    row_label=TEXT_OR_NULL,
    seat_label=TEXT_OR_NULL,
    uuid=TEXT,
    seats=several(SEAT),
    row_number_position={"enum": ["start", "end", "both", None]},
    position=POSITION,
)

AREA = thing(
    "",
    color=TEXT,
    border_color=TEXT,
    rotation=NUMBER,
    position=POSITION,
    uuid=TEXT,
    shape={"enum": ["polygon", "rectangle", "ellipse", "circle", "text"]},
    polygon=thing("points", points=several(POSITION)),
    rectangle=thing("", width=NUMBER, height=NUMBER),
    ellipse=thing("radius", radius=POSITION),
    circle=thing("", radius=NUMBER),
    text=thing("text position", text=TEXT, color=TEXT, size=NUMBER, position=POSITION),
)

ZONE = thing(
    "position rows",
    name=TEXT,
    zone_id=TEXT,
    uuid=TEXT,
    position=POSITION,
    rows=several(ROW),
    areas=several(AREA),
)

SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    **thing(
        "zones name categories size",
        name=TEXT,
        zones=several(ZONE),
        categories=several(thing("name", name=TEXT, color=TEXT)),
        size=thing("width height", width={"type": "integer"}, height={"type": "integer"}),
    ),
}
