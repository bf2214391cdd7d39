"""HTML pages that need nothing else."""

import base64

from mimtpy_cloud.view import page


def test_text_is_escaped_everywhere(tmp_path):
    image = tmp_path / "a.png"
    image.write_bytes(b"png")
    parts = [
        page.paragraph("a<b"),
        page.table("h<h", ["c<c"], [["v<v"]]),
        page.commands("h<h", "x <y"),
        page.figures("h<h", [(image, 'c"<c')]),
    ]
    text = page.page("t<t", parts)
    for raw in ("a<b", "h<h", "c<c", "v<v", "x <y", "t<t"):
        assert raw not in text
    assert 'alt="c&quot;&lt;c"' in text


def test_figures_are_inside_the_page(tmp_path):
    image = tmp_path / "a.png"
    image.write_bytes(bytes(range(256)))
    text = page.figures("Figures", [(image, "one"), (image, "two")], wide=True)
    assert text.count(base64.b64encode(bytes(range(256))).decode()) == 2
    assert text.count('class="wide"') == 2
    assert str(tmp_path) not in text


def test_numbers_are_set_to_the_right():
    text = page.table("t", ["a", "b"], [["1,234", "x1"], ["-0.5", ""]])
    assert text.count('<td class="number">') == 2
