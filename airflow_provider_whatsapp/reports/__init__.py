"""
Reports from rows, for tasks of your own: a chart, a PDF, or a picture of a table.

Each function takes a list of dicts, a data frame of pandas or polars, or the path of a CSV, JSON lines or Parquet file,
and writes one file, which any operator or hook of this package can send. The functions do not import Airflow.
"""

from __future__ import annotations

from airflow_provider_whatsapp.reports.render import render_chart, render_pdf, render_table

__all__ = ["render_chart", "render_pdf", "render_table"]
