"""A client of FHIR servers: one search, all its pages, and nothing of too few results."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ElementTree
from io import BytesIO
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union
from urllib.parse import urljoin, urlsplit

from train_lib.clients.fhir.fhir_query_builder import build_query_string

try:
    import requests
    from requests.auth import AuthBase, HTTPBasicAuth
except ImportError as missing:
    raise ImportError("the FHIR client takes the package requests: pip install 'pht-oci-train-lib[fhir]'") from missing

_FHIR = "{http://hl7.org/fhir}"
#: Seconds without a byte from the server.
_TIMEOUT = 300
#: A server whose pages never end is not followed for ever.
_MAX_PAGES = 100_000
#: Entries of a page that the server is asked for.
_COUNT = 1000


class BearerAuth(AuthBase):
    """Sends a token with each request."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["authorization"] = f"Bearer {self.token}"
        return r


class PHTFhirClient:
    """A FHIR server, and who asks it: by name and password, by a token, or by a token of an OIDC provider.

    Fewer than `k_anon` results are not handed out, unless `disable_k_anon` says so.
    """

    def __init__(
        self,
        server_url: Optional[str] = None,
        username: Optional[str] = None,
        password: Optional[str] = None,
        token: Optional[str] = None,
        client_id: Optional[str] = None,
        client_secret: Optional[str] = None,
        oidc_provider_url: Optional[str] = None,
        fhir_server_type: Optional[str] = None,
        disable_auth: bool = False,
        k_anon: int = 5,
        disable_k_anon: bool = False,
    ) -> None:
        url = server_url or os.environ.get("FHIR_SERVER_URL")
        if not url:
            raise ValueError("no FHIR server is given: neither server_url nor FHIR_SERVER_URL")
        if username and password and token:
            raise ValueError("the FHIR client takes a user name with a password or a token, not both")
        self.server_url = url if url.endswith("/") else f"{url}/"
        self.username, self.password, self.token = username, password, token
        self.client_id, self.client_secret, self.oidc_provider_url = client_id, client_secret, oidc_provider_url
        self.fhir_server_type = fhir_server_type or os.environ.get("FHIR_SERVER_TYPE")
        self.output_format: Optional[str] = None
        self.disable_auth = disable_auth
        self.k_anon, self.disable_k_anon = k_anon, disable_k_anon

    @classmethod
    def from_env(cls) -> "PHTFhirClient":
        """A client as the environment describes it."""
        return cls.from_dict(os.environ)

    @classmethod
    def from_dict(cls, fhir_config: Mapping[str, Any]) -> "PHTFhirClient":
        """A client as a dictionary describes it: FHIR_SERVER_URL, and FHIR_USER and FHIR_PW, or FHIR_TOKEN, or CLIENT_ID,
        CLIENT_SECRET and OIDC_PROVIDER_URL."""
        names = ("FHIR_SERVER_URL", "FHIR_ADDRESS", "FHIR_API_URL")
        url = next((place.get(name) for place in (fhir_config, os.environ) for name in names if place.get(name)), None)
        if not url:
            raise EnvironmentError("no FHIR server is named by FHIR_SERVER_URL, FHIR_ADDRESS or FHIR_API_URL")
        user, token, client = (fhir_config.get(name) for name in ("FHIR_USER", "FHIR_TOKEN", "CLIENT_ID"))
        if sum(map(bool, (user, token, client))) > 1:
            raise EnvironmentError("FHIR_USER, FHIR_TOKEN and CLIENT_ID name several ways to log in; set one")
        needed = ("FHIR_PW",) if user else ("CLIENT_SECRET", "OIDC_PROVIDER_URL") if client else ()
        lacking = [name for name in needed if not fhir_config.get(name)]
        if lacking:
            raise EnvironmentError(f"{'FHIR_USER' if user else 'CLIENT_ID'} is set, and {' and '.join(lacking)} not")
        return cls(
            server_url=url,
            username=user or None,
            password=fhir_config.get("FHIR_PW") if user else None,
            token=token or None,
            client_id=client or None,
            client_secret=fhir_config.get("CLIENT_SECRET") if client else None,
            oidc_provider_url=fhir_config.get("OIDC_PROVIDER_URL") if client else None,
            fhir_server_type=fhir_config.get("FHIR_SERVER_TYPE", "blaze"),
            disable_auth=not (user or token or client),
        )

    def execute_query(
        self,
        query_file: Union[str, "os.PathLike[str]", BytesIO, None] = None,
        query: Optional[Dict[str, Any]] = None,
        store_results: bool = False,
    ) -> Any:
        """The answer to a query with all its pages: an object, or XML text where the query says so."""
        if (query is None) == (query_file is None):
            raise ValueError("execute_query takes a query or the file of one")
        asked = query if query is not None else self.read_query_file(query_file)  # type: ignore[arg-type]
        data = asked["data"]
        self.output_format = data["output_format"]
        url = self._generate_url(asked["query"])
        found = self._pages_of_xml(url) if self.output_format == "xml" else self._pages_of_json(url)
        if store_results:
            self.store_query_results(found, filename=data["filename"])
        return found

    def store_query_results(self, query_results: Any, filename: str, storage_dir: Optional[str] = None) -> str:
        """Writes an answer to a file below `storage_dir`, else TRAIN_DATA_DIR, else here; its path."""
        if os.path.basename(filename) != filename or filename in ("", ".", ".."):
            raise ValueError(f"the query names the file {filename!r}; expected a name without a directory")
        path = os.path.join(storage_dir or os.environ.get("TRAIN_DATA_DIR") or "", filename)
        if self.output_format == "xml":
            text = query_results
        elif self.output_format in ("raw", "json"):
            text = json.dumps(query_results, indent=2)
        else:
            raise ValueError(f"the query asks for the format {self.output_format!r}; expected json, raw or xml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def health_check(self) -> None:
        """Raises unless the server answers."""
        self._get(f"{self.server_url}metadata", self._generate_auth())

    @staticmethod
    def read_query_file(file: Union[str, "os.PathLike[str]", BytesIO]) -> Any:
        """The query in a file."""
        if isinstance(file, BytesIO):
            return json.loads(file.read())
        with open(file, encoding="utf-8") as opened:
            return json.load(opened)

    def _generate_url(self, query: Union[Dict[str, Any], str], limit: int = _COUNT) -> str:
        url = self.server_url + (build_query_string(query) if isinstance(query, dict) else query)
        joint = "" if url.endswith("?") else "&" if "?" in url else "?"
        return f"{url}{joint}_format={self.output_format}&_count={limit}"

    def _generate_auth(self) -> Optional[AuthBase]:
        if self.username and self.password:
            return HTTPBasicAuth(self.username, self.password)
        if not self.token and self.client_id and self.client_secret and self.oidc_provider_url:
            login = (self.client_id, self.client_secret)
            asked = {"grant_type": "client_credentials"}
            answer = requests.post(self.oidc_provider_url, data=asked, auth=login, timeout=_TIMEOUT)
            answer.raise_for_status()
            self.token = answer.json()["access_token"]
        return BearerAuth(self.token) if self.token else None

    @staticmethod
    def _get(url: str, auth: Optional[AuthBase]) -> requests.Response:
        answer = requests.get(url, auth=auth, timeout=_TIMEOUT)
        answer.raise_for_status()
        return answer

    def _pages_of_json(self, url: str) -> Dict[str, Any]:
        auth = self._generate_auth()
        first: Optional[Dict[str, Any]] = None
        entries: List[Any] = []
        for _ in range(_MAX_PAGES):
            page = self._get(url, auth).json()
            first = page if first is None else first
            entries += page.get("entry") or []
            following = [link["url"] for link in page.get("link") or [] if link.get("relation") == "next"]
            if not following:
                self._check_number(len(entries))
                return {**first, "entry": entries}
            url = self._next(url, following[0])
        raise ValueError("the pages of the FHIR server do not end")

    def _pages_of_xml(self, url: str) -> str:
        auth = self._generate_auth()
        first: Optional[ElementTree.Element] = None
        number = 0
        for _ in range(_MAX_PAGES):
            page = ElementTree.fromstring(self._get(url, auth).content)
            entries = page.findall(f"{_FHIR}entry")
            number += len(entries)
            if first is None:
                first = page
            else:
                first.extend(entries)
            links = [(_value(link, "relation"), _value(link, "url")) for link in page.findall(f"{_FHIR}link")]
            following = [address for relation, address in links if relation == "next" and address]
            if not following:
                self._check_number(number)
                ElementTree.register_namespace("", _FHIR[1:-1])
                return ElementTree.tostring(first, encoding="unicode")
            url = self._next(url, following[0] if "_format=" in following[0] else f"{following[0]}&_format=xml")
        raise ValueError("the pages of the FHIR server do not end")

    @staticmethod
    def _next(url: str, following: str) -> str:
        """The next page, from the same server: the login goes nowhere else."""
        address = urljoin(url, following)
        if _origin(address) != _origin(url):
            raise ValueError(f"the FHIR server sends its clients on to another one, {_origin(address)}")
        return address

    def _check_number(self, number: int) -> None:
        if number == 0:
            raise ValueError("no results match the query")
        if number < self.k_anon and not self.disable_k_anon:
            raise ValueError(f"fewer than {self.k_anon} results match the query: they could be told apart")


def _origin(url: str) -> Tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _value(element: ElementTree.Element, name: str) -> Optional[str]:
    found = element.find(f"{_FHIR}{name}")
    return None if found is None else found.get("value")
