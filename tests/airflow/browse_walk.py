"""The page under Browse in the API server that test_tab.py starts: what it shows of the same run, and a mute."""

from __future__ import annotations

import re

import requests


def assert_browse_shows_the_run(site, dag_id, words):
    """Figures from the store for whoever sees the DAG; what a connection's key shows for those who see connections."""
    text = words(site.get("whatsapp/browse/deliveries").text)
    assert re.search(rf"\d{{4}}-\d\d-\d\d {dag_id} 124 115 93 % 85 69 % 7 6 % ", text)
    assert "order_shipped" in site.get("whatsapp/browse/templates", "admin").text
    assert "order_shipped" not in site.get("whatsapp/browse/templates", "viewer").text
    health = words(site.get("whatsapp/browse/health", "admin").text)
    assert "Key OK" in health
    assert "Event store OK The last receipt came" in health
    for sheet in ("deliveries", "templates", "alerts", "health"):
        assert site.get(f"whatsapp/browse/{sheet}", None).status_code == 401
    forged = requests.post(
        f"{site.url}/whatsapp/browse/alerts/mute",
        data={"store": "variables", "key": "x", "seconds": "0"},
        cookies={"_token": site.token("admin")},
        headers={"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"},
        timeout=60,
    )
    assert forged.status_code == 403
    assert "another page" in forged.text


def assert_an_alert_is_muted_by_hand(page, site, expect, alert):
    """Browse > WhatsApp > Alerts in Airflow's own page, as one who may edit DAGs."""
    page.context.add_cookies([{"name": "_token", "value": site.token("admin"), "url": f"{site.url}/"}])
    page.goto(f"{site.url}/plugin/whatsapp")
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name="Alerts").click()
    frame.get_by_label(f"Mute {alert}", exact=True).press("Enter")
    unmute = frame.get_by_label(f"Unmute {alert}", exact=True)
    expect(unmute).to_be_visible(timeout=30_000)
    expect(frame.get_by_text("by a", exact=True)).to_be_visible(timeout=30_000)
    unmute.press("Enter")
    expect(frame.get_by_label(f"Mute {alert}", exact=True)).to_be_visible(timeout=30_000)
