"""Queries of a FHIR server, as a train's `query.json` describes them."""

from train_lib.clients.fhir.fhir_client import PHTFhirClient
from train_lib.clients.fhir.fhir_query_builder import build_query_string, load_query_file

__all__ = ["PHTFhirClient", "build_query_string", "load_query_file"]
