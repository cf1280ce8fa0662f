"""A stand-in for a FHIR server, by the rules of FHIR R4 for searches (hl7.org/fhir/R4/search.html), over a handful of patients.

    fhir.py TOKEN       prints the address, then serves until it is killed

It knows what queries of trains use: several parameters (all of them hold), several values of one (any of them does),
tokens, dates with a prefix, `_has` from another resource, `_count`. It answers in pages of at most three, whatever it is
asked for, and the addresses of the next ones mean nothing to anybody else.
"""

import json
import secrets
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, urlsplit

PAGE = 3
PATIENTS = [
    {"resourceType": "Patient", "id": f"p{number}", "gender": "female" if number % 3 else "male", "birthDate": f"{1940 + 5 * number}-06-01"}
    for number in range(12)
]
# Every patient but two has one of three diseases.
CONDITIONS = [
    {
        "resourceType": "Condition",
        "id": f"c{number}",
        "subject": {"reference": f"Patient/p{number}"},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": ["E70.0", "E70.1", "I63.0"][number % 3]}]},
    }
    for number in range(10)
]
COMPARISONS = {"eq": lambda a, b: a == b, "ge": lambda a, b: a >= b, "le": lambda a, b: a <= b, "gt": lambda a, b: a > b, "lt": lambda a, b: a < b}
answers = {}


class Unknown(Exception):
    pass


def matches(resource, name, values):
    """Whether a parameter holds for a resource: one of its values does."""
    if name == "gender":
        return resource.get("gender") in values
    if name == "birthdate":
        return any(COMPARISONS[value[:2]](resource["birthDate"], value[2:]) for value in values)
    if name == "code":
        codes = [f"{coding['system']}|{coding['code']}" for coding in resource["code"]["coding"]]
        return any(code == value or code.endswith(f"|{value}") for code in codes for value in values)
    if name.startswith("_has:"):
        _, other, reference, parameter = name.split(":", 3)
        if (other, reference) != ("Condition", "patient"):
            raise Unknown(name)
        own = f"{resource['resourceType']}/{resource['id']}"
        return any(one["subject"]["reference"] == own and matches(one, parameter, values) for one in CONDITIONS)
    raise Unknown(name)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        address = urlsplit(self.path)
        if self.headers.get("authorization") != f"Bearer {sys.argv[1]}":
            return self.fail(401, "login")
        if address.path == "/fhir/pages":
            return self.page(address.query)
        if address.path != "/fhir/Patient":
            return self.fail(404, "not-found")
        terms = [(name, value.split(",")) for name, value in parse_qsl(address.query) if name not in ("_count", "_format")]
        try:
            found = [one for one in PATIENTS if all(matches(one, name, values) for name, values in terms)]
        except Unknown as unknown:
            return self.fail(400, "not-supported", str(unknown))
        key = secrets.token_hex(8)
        answers[key] = found
        self.page(f"{key}-0")

    def page(self, name):
        key, start = name.split("-")
        found, start = answers[key], int(start)
        links = [{"relation": "self", "url": f"{URL}{self.path}"}]
        if start + PAGE < len(found):
            links.append({"relation": "next", "url": f"{URL}/fhir/pages?{key}-{start + PAGE}"})
        entry = [
            {"fullUrl": f"{URL}/fhir/Patient/{one['id']}", "resource": one, "search": {"mode": "match"}}
            for one in found[start : start + PAGE]
        ]
        self.answer(200, {"resourceType": "Bundle", "type": "searchset", "total": len(found), "link": links, "entry": entry})

    def fail(self, status, code, diagnostics=""):
        issue = {"severity": "error", "code": code, "diagnostics": diagnostics}
        self.answer(status, {"resourceType": "OperationOutcome", "issue": [issue]})

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/fhir+json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_arguments):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
URL = f"http://127.0.0.1:{server.server_address[1]}"
print(f"{URL}/fhir", flush=True)
server.serve_forever()
