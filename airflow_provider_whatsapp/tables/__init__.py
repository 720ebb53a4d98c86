"""Writes rows of a query to files that a phone can show: CSV, XLSX, and a picture of the table."""

from __future__ import annotations
