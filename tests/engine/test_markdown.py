from __future__ import annotations

import pytest

from lofi_engine.markdown import plain


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ("Ann & <b>Bob</b>", "Ann &amp; &lt;b&gt;Bob&lt;/b&gt;"),
        ("*_`[x](y)`_*", r"\*\_\`\[x\](y)\`\_\*"),
        ("a|b\n\nc  d", r"a\|b c d"),
        ("C:\\music ~~x~~", r"C:\\music \~\~x\~\~"),
        ("# one", r"\# one"),
        ("- one", r"\- one"),
        ("12. one", r"12\. one"),
        ("12 bars, no. 3", "12 bars, no. 3"),
        ("(https://a.org/b_c?d=e&f) _g_", r"(https://a.org/b_c?d=e&f) \_g\_"),
        ('https://a.org/"><script>', 'https://a.org/"&gt;&lt;script&gt;'),
        ("夜の雨, Café", "夜の雨, Café"),
        ("", ""),
    ],
)
def test_words_stay_words_and_addresses_stay_links(words, written):
    assert plain(words) == written
