"""Compiled kernels are never those of other sources."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swept.kernel_cache import OTHERS_MAX, use_own_cache


def test_the_cache_is_the_users_own_and_old_ones_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    for i in range(OTHERS_MAX + 3):
        old = tmp_path / "swept" / f"kernels-{i}"
        old.mkdir(parents=True)
        os.utime(old, (i, i))
    folder = use_own_cache()
    assert os.environ["NUMBA_CACHE_DIR"] == str(folder)
    assert use_own_cache() == folder
    left = sorted(path.name for path in (tmp_path / "swept").iterdir())
    assert left == sorted([folder.name, *(f"kernels-{i}" for i in range(3, 3 + OTHERS_MAX))])


def test_where_no_cache_can_be_written_a_temporary_one_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    assert use_own_cache().is_dir()
