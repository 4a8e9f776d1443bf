"""Alembic's folder: the environment, and one version a schema change."""
