"""Clients of a station's services. The FHIR client takes `pip install pht-oci-train-lib[fhir]`."""

from train_lib.clients.fhir import PHTFhirClient

__all__ = ["PHTFhirClient"]
