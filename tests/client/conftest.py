from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.retry import RequestRetry
from airflow_provider_whatsapp.client.transport import Transport
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

QUICK = RequestRetry(max_retries=3, base=0.01, cap=0.05, max_elapsed=20)


@pytest.fixture
def make_client():
    """Make clients that repeat quickly and are closed at the end."""
    made = []

    def make(**fields):
        config = ClientConfig(**{"rate_limit": 0, "timeout": (2, 5), **fields})
        client = WhatsAppClient(config, transport=Transport(config, retry=QUICK))
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(sandbox, make_client):
    """A client of the sandbox."""
    return make_client(api_key=sandbox.connection["password"], host=sandbox.url, **sandbox.extra)


@pytest.fixture
def certificate(tmp_path):
    """A certificate for this machine that nobody else trusts: paths of it and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = tmp_path / "cert.pem", tmp_path / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths
