"""Queries of a server that answers in pages."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import List, Optional, Tuple
from unittest import mock
from urllib.parse import parse_qs, urlsplit

try:
    from train_lib.clients import PHTFhirClient
    from train_lib.clients.fhir import build_query_string, load_query_file
except ImportError:
    raise unittest.SkipTest("the package requests is not here") from None

QUERY = {"query": {"resource": "Patient"}, "data": {"output_format": "json", "filename": "patients.json"}}


class Server(HTTPServer):
    """Seven patients in pages of three."""

    elsewhere: Optional[str] = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: List[Tuple[str, Optional[str]]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("authorization")))
        query = parse_qs(urlsplit(self.path).query)
        page = int(query.get("page", ["0"])[0])
        numbers = range(page * 3, min(page * 3 + 3, 7))
        following = f"{self.server.elsewhere or ''}/fhir/Patient?page={page + 1}" if page < 2 else None
        if "xml" in self.path:
            link = f'<link><relation value="next"/><url value="{following}"/></link>' if following else ""
            entries = "".join(f'<entry><resource><id value="{number}"/></resource></entry>' for number in numbers)
            text = f'<Bundle xmlns="http://hl7.org/fhir">{link}{entries}</Bundle>'
        else:
            links = [{"relation": "self", "url": "x"}] + ([{"relation": "next", "url": following}] if following else [])
            text = json.dumps({"link": links, "entry": [{"resource": {"id": number}} for number in numbers]})
        self.answer(text)

    def do_POST(self) -> None:
        self.server.asked.append((self.path, self.headers.get("authorization")))
        self.rfile.read(int(self.headers["content-length"]))
        self.answer('{"access_token": "of-the-provider"}')

    def answer(self, text: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_arguments: object) -> None:
        pass


class Queries(unittest.TestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.addCleanup(self.server.server_close)
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/fhir"

    def test_all_pages_come_with_the_login(self) -> None:
        found = PHTFhirClient(self.url, token="t").execute_query(query=QUERY)
        self.assertEqual([entry["resource"]["id"] for entry in found["entry"]], list(range(7)))
        self.assertEqual({login for _, login in self.server.asked}, {"Bearer t"})
        self.assertEqual(self.server.asked[0][0], "/fhir/Patient?_format=json&_count=1000")
        asked = {**QUERY, "data": {"output_format": "xml", "filename": "p.xml"}}
        text = PHTFhirClient(self.url, "user", "secret").execute_query(query=asked)
        self.assertEqual(text.count("<entry>"), 7)
        self.assertEqual({login for _, login in self.server.asked[3:]}, {"Basic dXNlcjpzZWNyZXQ="})

    def test_too_few_are_not_handed_out(self) -> None:
        with self.assertRaises(ValueError):
            PHTFhirClient(self.url, k_anon=8).execute_query(query=QUERY)
        PHTFhirClient(self.url, k_anon=7).execute_query(query=QUERY)
        PHTFhirClient(self.url, k_anon=8, disable_k_anon=True).execute_query(query=QUERY)

    def test_a_login_goes_to_its_server_only(self) -> None:
        self.server.elsewhere = "http://elsewhere.example"
        for kind in ("json", "xml"):
            asked = {**QUERY, "data": {"output_format": kind, "filename": "p"}}
            with self.assertRaises(ValueError) as error:
                PHTFhirClient(self.url, token="t").execute_query(query=asked)
            self.assertIn("elsewhere.example", str(error.exception))

    def test_a_token_of_a_provider(self) -> None:
        settings = {"FHIR_SERVER_URL": self.url, "CLIENT_ID": "c", "CLIENT_SECRET": "s", "OIDC_PROVIDER_URL": f"{self.url}/token"}
        PHTFhirClient.from_dict(settings).health_check()
        self.assertEqual(self.server.asked, [("/fhir/token", "Basic Yzpz"), ("/fhir/metadata", "Bearer of-the-provider")])

    def test_answers_are_stored_where_they_belong(self) -> None:
        client = PHTFhirClient(self.url)
        with tempfile.TemporaryDirectory() as directory, mock.patch.dict(os.environ, {"TRAIN_DATA_DIR": directory}):
            client.execute_query(query=QUERY, store_results=True)
            with open(f"{directory}/patients.json", encoding="utf-8") as file:
                self.assertEqual(len(json.load(file)["entry"]), 7)
            for name in ("../x", "/x", "", ".."):
                with self.assertRaises(ValueError):
                    client.store_query_results({}, name)

    def test_what_the_settings_lack_is_told(self) -> None:
        server = {"FHIR_SERVER_URL": "http://fhir.example"}
        wrong = [
            {},
            {**server, "FHIR_USER": "u"},
            {**server, "FHIR_USER": "u", "FHIR_PW": "p", "FHIR_TOKEN": "t"},
            {**server, "CLIENT_ID": "c", "CLIENT_SECRET": "s"},
            {**server, "CLIENT_ID": "c", "FHIR_TOKEN": "t"},
        ]
        with mock.patch.dict(os.environ, clear=True):
            for settings in wrong:
                with self.assertRaises(EnvironmentError, msg=str(settings)):
                    PHTFhirClient.from_dict(settings)
            self.assertEqual(PHTFhirClient.from_dict({"FHIR_ADDRESS": "http://a/"}).server_url, "http://a/")

    def test_queries_are_read_and_written_as_addresses(self) -> None:
        query = {
            "resource": "Patient",
            "parameters": [{"variable": "gender", "condition": ["male", "female"]}, {"variable": "a", "condition": "b"}],
            "has": [{"resource": "Condition", "property": "code", "params": ["E70.0", "E70.1"]}],
        }
        expected = "Patient?gender=male,female&a=b&_has:Condition:patient:code=E70.0,E70.1"
        self.assertEqual(build_query_string(query), expected)
        for form in (json.dumps(query), json.dumps(query).encode()):
            self.assertEqual(load_query_file(form), query)
        for wrong in (1, "[]", b"1"):
            with self.assertRaises((ValueError, OSError)):
                load_query_file(wrong)  # type: ignore[arg-type]


if __name__ == "__main__":
    unittest.main()
