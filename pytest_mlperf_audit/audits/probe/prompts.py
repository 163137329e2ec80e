"""Prompts that nobody has sent before: 64 fresh bits each, all of the same length, far apart in meaning."""

from __future__ import annotations

import random

# Plain nouns of one or two tokens in common vocabularies; 256, so that a word is eight bits.
WORDS = (  # noqa: SIM905 - a list of 256 lines says no more
    "acorn almond anchor antler apron arch armor arrow atlas attic badge bagel ballad bamboo banner barrel basil "
    "basket beacon beaver bench berry blade blanket blossom bottle boulder bracelet branch brick bridge bronze "
    "brush bubble bucket buckle butter button cabin cactus camel canal candle canoe canvas cape carpet carrot "
    "castle cedar cello chalk chapel cherry chest chimney cinder circle citrus clay cliff clock clover coast "
    "cobalt comet compass copper coral cottage cotton crane crater cricket crown crystal curtain cymbal dagger "
    "daisy dawn desert diamond dolphin donkey dragon drawer drum dune eagle earring echo elbow elm ember engine "
    "falcon fabric feather fence fern ferry fiddle finch flame flask flute forest fossil fountain fox frost "
    "galaxy garden garlic garnet gate geyser ginger glacier glove goblet granite grape gravel guitar hammer "
    "harbor harp hatch hazel helmet heron hill honey hornet iceberg igloo iris island ivory jacket jade jasmine "
    "jewel jungle juniper kayak kettle kite ladder lagoon lantern lark lemon lever lighthouse lily linen lobster "
    "locket loom lotus lumber magnet mango maple marble meadow melon mirror mitten moose moss mountain mural "
    "museum mustard needle nest nickel oak oasis ocean olive onion opal orchard orchid otter oven owl oyster "
    "paddle palace panther paper parrot peach pearl pebble pencil pepper piano pigeon pillow pine planet plum "
    "pocket pond poppy prairie prism pumpkin puzzle quail quartz quilt rabbit radar raft raven reef ribbon ridge "
    "river robin rocket root rope ruby saddle sail salmon sandal sapphire scarf scissors scroll shadow shell "
    "shield ship shovel silver snail spider spoon spruce squash stable statue stone storm sugar"
).split()

TEXT_WORDS = 24
TAIL_WORDS = 8
#: Words from one list grow alike to an embedding; a topic of a few words keeps texts apart.
_TOPIC_WORDS = 8


def nonce(rng: random.Random) -> str:
    """Return 64 fresh bits as one word of 16 hex digits."""
    return f"{rng.getrandbits(64):016x}"


def text(rng: random.Random) -> str:
    """Return a text of TEXT_WORDS words, from a small vocabulary of its own."""
    return " ".join(_some(rng, TEXT_WORDS))


def tail(rng: random.Random) -> list[str]:
    """Return TAIL_WORDS words to stand behind a text."""
    return _some(rng, TAIL_WORDS)


def fresh_words(rng: random.Random) -> str:
    """Return TAIL_WORDS words that hold 64 fresh bits together, to stand in the place of a row's own words."""
    return " ".join(rng.choice(WORDS) for _ in range(TAIL_WORDS))


def other_last_words(rng: random.Random, words: list[str], count: int) -> list[str]:
    """Return `count` versions of a tail that differ from it, and from each other, in the last word."""
    others = rng.sample([word for word in WORDS if word != words[-1]], count)
    return [" ".join([*words[:-1], word]) for word in others]


def _some(rng: random.Random, count: int) -> list[str]:
    topic = rng.sample(WORDS, _TOPIC_WORDS)
    return [rng.choice(topic) for _ in range(count)]
