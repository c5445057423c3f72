"""What the main job's synthetic voices say."""

from aqtaudio.data.synth import SynthSettings

# Everyday words, none of them in `SynthSettings.unknown_words`, which are held out.
_HEARD = (
    "air angle animal apple arm autumn baby back ball bank barn basket beach bean bear bell bench "
    "bicycle blue board boat body bone book bottle bowl boy branch bread bridge bright brother "
    "brown brush bucket bus butter button cake camera candle cap car castle chair cheese cherry "
    "chicken child circle city clean clock cloud coat coffee cold colour corn corner cotton cow "
    "cup curtain dance dark daughter day deep desk dinner doctor door dozen dream dress drink dry "
    "duck ear early east egg empty engine evening eye face family farm father feather field "
    "finger fire fish five flag floor flower food foot forest four friend fruit game garden glass "
    "gold goose grandma grass green ground guitar hair hammer hand hat heart heavy hill honey "
    "horse hot hour ice iron island jacket jump kettle key king kitchen knee knife lady lake lamp "
    "large leaf letter light lion long loud machine market meadow milk minute money moon morning "
    "mother mountain mouth music name narrow needle never night nine north nose number ocean old "
    "onion open orange oven paint paper park peach pen pepper picture pig pillow pink plane plate "
    "pocket pony potato purple quarter queen question quick rabbit radio rain river road rock "
    "roof room root rope round salad salt school sea second seven shallow ship shirt shoe shop "
    "short silver sister six sky sleep slow small smoke snow soap soft song south spoon spring "
    "square station stone storm story street sugar summer sun sweet table tail tea teacher ten "
    "tent thunder ticket tiger time tooth town train tree triangle tulip turtle two under uncle "
    "valley village voice wagon wall warm water week west wheel white wide wind window winter "
    "wire wood yellow young zebra zero"
).split()
# Few clips of many words: what is not a keyword is learned from variety.
CORPUS = SynthSettings(
    unknown_words=tuple(_HEARD),
    held_out_words=SynthSettings().unknown_words,
    clips_per_speaker=5,
    unknown_per_speaker=60,
)
