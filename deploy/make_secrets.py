#!/usr/bin/env python3
"""Make what compose.yaml needs and no repository may hold: passwords, their hashes for Mosquitto, a certificate.

    deploy/make_secrets.py                    .env and deploy/secrets/, where they aren't there yet
    deploy/make_secrets.py --device ZQ-S01    a password for a device, printed once; then
                                              docker compose kill --signal HUP mosquitto

Needs Python and, for a certificate of its own, openssl. With a certificate of yours, put it there first.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import secrets
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ITERATIONS = 101
"""As mosquitto_passwd does: what is hashed here are random passwords of 192 bits, which nobody tries out."""
SERVICES = {"swept-ingest": "INGEST_PASSWORD", "swept-worker": "WORKER_PASSWORD"}


def hashed(password: str) -> str:
    """A password as Mosquitto 2 keeps it: PBKDF2 with SHA-512."""
    salt = secrets.token_bytes(12)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def set_password(passwords: Path, user: str, password: str) -> None:
    """Replace or add a user's line."""
    lines = passwords.read_text(encoding="utf-8").splitlines() if passwords.exists() else []
    kept = [line for line in lines if not line.startswith(f"{user}:")]
    # In place: a container goes on seeing the file that was mounted, not a new one of the same name.
    passwords.write_text("\n".join([*kept, f"{user}:{hashed(password)}"]) + "\n", encoding="utf-8")
    # Containers read it as other users; its folder keeps those of the host out.
    passwords.chmod(0o644)


def make(root: Path) -> None:
    """Whatever of it is missing."""
    folder = root / "deploy/secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    environment = root / ".env"
    if not environment.exists():
        made = {name: secrets.token_urlsafe(24) for name in ("STORE_PASSWORD", *SERVICES.values())}
        lines = (root / "deploy/.env.example").read_text(encoding="utf-8").splitlines()
        filled = [f"{line}{made.get(line.removesuffix('='), '')}" for line in lines]
        environment.touch(mode=0o600)
        environment.write_text("\n".join(filled) + "\n", encoding="utf-8")
        for user, name in SERVICES.items():
            set_password(folder / "mosquitto_passwords", user, made[name])
    certificate, key = folder / "tls_certificate", folder / "tls_key"
    if not certificate.exists():
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command += ["-nodes", "-days", "825", "-subj", "/CN=swept", "-addext", f"subjectAltName=DNS:{host()}"]
        subprocess.run(
            [*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
        )
        for path in (certificate, key):
            path.chmod(0o644)


def host() -> str:
    """The name by which devices reach this machine, as far as it knows."""
    return os.uname().nodename


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", metavar="UNIT", help="give this unit a password, or a new one")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args()
    make(options.root)
    if options.device:
        if set(options.device) & set(":/+# \n") or options.device in SERVICES:
            sys.exit(
                "make_secrets.py: a unit's id has no : / + # or space, and isn't one of swept's own users"
            )
        password = secrets.token_urlsafe(24)
        set_password(options.root / "deploy/secrets/mosquitto_passwords", options.device, password)
        sys.stdout.write(f"{password}\n")


if __name__ == "__main__":
    main()
