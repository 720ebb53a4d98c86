"""Answers that a person gives by a press on a phone: from the stored press to Airflow's REST API. No Airflow import."""
