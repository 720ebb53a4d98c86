"""Answers by a press on a phone: from the stored press to Airflow's REST API, without an import of Airflow."""
