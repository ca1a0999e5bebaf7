"""The language between the services: one file per owner, types only, no personal data.

Every event carries the whole record and its `record_version`. A public type may only grow by
optional fields (`tests/contract/schemas` holds the frozen ones); anything else is a new major.
"""
