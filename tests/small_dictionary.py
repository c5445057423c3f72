"""A pronouncing dictionary for tests, in CMUdict's format with its oddities."""

from pathlib import Path

import pytest

TEXT = """;;; a comment
A  AH0
A(1)  EY1
COMPUTER  K AH0 M P Y UW1 T ER0
computers  K AH M P Y UW T ER Z
commuter K AH M Y UW T ER
commute K AH M Y UW T
commuted K AH M Y UW T AH D
compute K AH M P Y UW T
computes K AH M P Y UW T S
pewter P Y UW T ER
suitor S UW T ER # a person
suitors S UW T ER Z
composer K AH M P OW Z ER
come K AH M
comes K AH M Z
cum K AH M
comb K OW M
combs K OW M Z
commie K AA M IY
hey HH EY
hay HH EY
he HH IY
say S EY
says S EH Z
jarvis JH AA R V AH S
jarvis(2) JH AA R V IH S
jervis JH ER V IH S
harvest HH AA R V AH S T
service S ER V AH S
go G OW
goes G OW Z
goat G OW T
no N OW
low L OW
better B EH T ER
bedder B EH D ER
view V Y UW
views V Y UW Z
few F Y UW
glass G L AE S
grass G R AE S
glance G L AE N S
viewless V Y UW L AH S
read R EH D
read(2) R IY D
red R EH D
u.s. Y UW EH S
x EH K S
don't D OW N T
"""


@pytest.fixture
def dictionary_file(tmp_path) -> Path:
    file = tmp_path / "words.dict"
    file.write_text(TEXT)
    return file
