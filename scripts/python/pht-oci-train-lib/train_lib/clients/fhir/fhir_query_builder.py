"""The search of a query, as the part of an address behind the server's."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Union


def build_query_string(query_dict: Dict[str, Any]) -> str:
    """`Patient?gender=male&_has:Observation:patient:code=I63.0,I63.1` of the member `query` of a query file."""
    resource = query_dict["resource"]
    terms = [f"{term['variable']}={_listed(term['condition'])}" for term in query_dict.get("parameters") or ()]
    for chain in query_dict.get("has") or ():
        terms.append(f"_has:{chain['resource']}:{resource.lower()}:{chain['property']}={_listed(chain['params'])}")
    return f"{resource}?{'&'.join(terms)}"


def _listed(value: Union[str, List[str]]) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def load_query_file(query_json: Union[str, bytes, "os.PathLike[str]"]) -> Dict[str, Any]:
    """A query from its JSON text, or from the path of a file with it."""
    if isinstance(query_json, bytes):
        text: Union[str, bytes] = query_json
    elif isinstance(query_json, (str, os.PathLike)):
        path = os.fspath(query_json)
        if path.lstrip()[:1] == "{":
            text = path
        else:
            with open(path, encoding="utf-8") as file:
                text = file.read()
    else:
        raise ValueError(f"a query is a JSON text or the path of a file, and not {type(query_json).__name__}")
    query = json.loads(text)
    if not isinstance(query, dict):
        raise ValueError("the query is no JSON object")
    return query
