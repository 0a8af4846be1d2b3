"""What a clip's page says: title, description, categories and tags, written from its topic alone.

Style and motion are never mentioned; the functions here do not even receive them.
"""

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np

from kinema.sources.town.rules import TOPICS


@dataclass(frozen=True)
class Words:
    """The vocabulary of one topic.

    Attributes:
        categories: Most general first.
        heroes: Who or what the title is about.
        acts: What they do.
        places: Where or when.
        facts: Sentences of the description.
        tags: Free words.
        caption: Words of the caption in the picture.
    """

    categories: tuple[str, ...]
    heroes: tuple[str, ...]
    acts: tuple[str, ...]
    places: tuple[str, ...]
    facts: tuple[str, ...]
    tags: tuple[str, ...]
    caption: tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """What one clip's page says; see `kinema.schema.Item` for the fields."""

    title: str
    description: str
    categories: tuple[str, ...]
    tags: tuple[str, ...]
    caption: str


WORDS: Final[dict[str, Words]] = {
    "sea": Words(
        ("outdoors", "sea and sailing"),
        (
            "A small sailing boat",
            "The harbour pilot",
            "A school of herring",
            "Our old trawler",
            "The lighthouse keeper",
        ),
        ("crosses the bay", "meets the tide", "comes home to port", "rides the waves", "waits for the wind"),
        ("before the storm", "off the coast", "near the reef", "at the regatta", "beyond the breakwater"),
        (
            "The crew hoists the sail and trims the sheets while the swell builds.",
            "Dolphins follow the hull and dive beneath the keel.",
            "Fishermen haul their nets and sort the catch on deck.",
            "We learn how tides and currents shape a day on the ocean.",
            "Salt spray, ropes and an anchor that will not hold.",
            "A skipper explains how to read the wind on the water.",
        ),
        ("ocean", "sailing", "boat", "fish", "harbour", "waves"),
        ("out at sea", "sailing day", "ocean log"),
    ),
    "space": Words(
        ("science", "space"),
        ("A young astronaut", "The orbital telescope", "A ringed planet", "The lunar rover", "A supply rocket"),
        ("leaves the launch pad", "reaches orbit", "passes the asteroid belt", "sends home its data", "docks at last"),
        ("around Saturn", "near Jupiter", "on the far side of the Moon", "above Mars", "in deep space"),
        (
            "Mission control counts the seconds until the engines ignite.",
            "Astronomers measure how a distant galaxy bends the starlight.",
            "The capsule separates from its booster and enters orbit.",
            "We explain gravity, comets and the birth of planets.",
            "Engineers repair the satellite during a long spacewalk.",
            "A probe photographs craters that nobody has seen before.",
        ),
        ("astronomy", "rocket", "planet", "orbit", "galaxy", "comet"),
        ("deep space", "mission log", "the planets"),
    ),
    "kitchen": Words(
        ("home", "cooking"),
        (
            "Grandmother's dumpling soup",
            "A crusty sourdough loaf",
            "The village chef",
            "A pot of lentil stew",
            "Our pasta cook",
        ),
        (
            "starts with good butter",
            "needs fresh garlic",
            "gets a second helping",
            "simmers for an hour",
            "wins the tasting",
        ),
        ("in a tiny kitchen", "for Sunday lunch", "at the family table", "on a weeknight", "for twelve guests"),
        (
            "Chop the onions, warm the oil and let the spices bloom.",
            "The dough rests under a cloth and is baked with steam.",
            "A recipe with tomatoes, basil and plenty of cheese.",
            "Learn how to season a sauce and when to salt the water.",
            "The oven is hot, the tray is greased and dessert is next.",
            "Every ingredient comes from the market around the corner.",
        ),
        ("recipe", "cooking", "food", "baking", "dinner", "chef"),
        ("kitchen time", "recipe of the day", "let us cook"),
    ),
    "football": Words(
        ("sport", "football"),
        ("The young striker", "Our goalkeeper", "The home team", "A veteran midfielder", "The visiting champions"),
        ("scores from a corner", "saves the penalty", "wins the derby", "lifts the trophy", "hits the crossbar"),
        ("in extra time", "in the cup final", "in front of the fans", "on match day", "after half-time"),
        (
            "The referee whistles and the defenders form a wall for the free kick.",
            "A pass through midfield opens the way to the goal.",
            "The coach changes the line-up and the league table changes too.",
            "Supporters sing in the stadium until the final whistle.",
            "We look at tactics, pressing and the offside trap.",
            "An injury, a substitute and a header in the last minute.",
        ),
        ("football", "soccer", "goal", "league", "match", "stadium"),
        ("match day", "goal of the week", "cup final"),
    ),
    "forest": Words(
        ("outdoors", "woods and wildlife"),
        ("A family of badgers", "The forest ranger", "An ancient oak", "A woodpecker", "The mushroom hunter"),
        (
            "wakes before sunrise",
            "finds a hidden trail",
            "hides among the ferns",
            "tells of the seasons",
            "hears an owl",
        ),
        (
            "under the fir trees",
            "beside the mossy stream",
            "in the national park",
            "after the rain",
            "deep in the woods",
        ),
        (
            "Deer graze in the clearing and a fox crosses the path.",
            "Roots, bark and fungi share their food below the ground.",
            "We walk the hiking trail and name the birds by their song.",
            "Squirrels bury acorns among the fallen leaves.",
            "A biologist counts beetles in a rotten trunk.",
            "Wild berries, pine cones and footprints in the mud.",
        ),
        ("nature", "trees", "wildlife", "hiking", "mushrooms", "birds"),
        ("in the woods", "forest walk", "wild life"),
    ),
    "city": Words(
        ("society", "city and traffic"),
        ("A night bus driver", "The morning commuter", "A taxi", "The new tram line", "A bicycle courier"),
        (
            "beats the rush hour",
            "waits at the crossing",
            "misses the exit",
            "finds a parking space",
            "delivers on time",
        ),
        (
            "in downtown Lisbon",
            "on the ring road",
            "between the skyscrapers",
            "at the central station",
            "on Market Street",
        ),
        (
            "Traffic lights, sirens and a jam that reaches across the bridge.",
            "Architects show how a tower block became a neighbourhood.",
            "The mayor wants fewer cars and more pavement.",
            "Pedestrians hurry past shop windows and newspaper stands.",
            "We ride the underground with an engineer who keeps it running.",
            "A district changes as offices become apartments.",
        ),
        ("city", "traffic", "cars", "urban", "street", "architecture"),
        ("city life", "rush hour", "street report"),
    ),
    "music": Words(
        ("culture", "music"),
        ("A jazz quartet", "The street guitarist", "A church choir", "Our cello teacher", "The wedding band"),
        ("rehearses a new song", "tunes up", "plays an encore", "records a ballad", "improvises a melody"),
        (
            "at the music school",
            "in the concert hall",
            "at the summer festival",
            "in a basement studio",
            "with the orchestra",
        ),
        (
            "The drummer keeps the beat while the singer finds the harmony.",
            "We practise scales, chords and a difficult bridge.",
            "A composer talks about rhythm and writes a fugue.",
            "The violin section repeats the final movement.",
            "From the first verse to the chorus, an acoustic session.",
            "How a piano is tuned, string by string.",
        ),
        ("music", "song", "guitar", "concert", "melody", "band"),
        ("live session", "song of the day", "music room"),
    ),
    "chess": Words(
        ("games", "chess"),
        ("A grandmaster", "The school champion", "A brave pawn", "The club's oldest player", "A twelve-year-old"),
        ("sacrifices the queen", "defends a rook ending", "plays the Sicilian", "finds checkmate", "offers a draw"),
        (
            "in the candidates' tournament",
            "against the clock",
            "in round nine",
            "at the chess club",
            "in the simultaneous",
        ),
        (
            "The knight forks king and rook, and the bishop pair decides.",
            "We study an opening trap and the best reply to it.",
            "Castling early keeps the king safe from attack.",
            "An endgame lesson about opposition and passed pawns.",
            "The engine disagrees with the move, the audience does not.",
            "Analysis of a classic match, move by move.",
        ),
        ("chess", "board game", "checkmate", "opening", "tournament", "endgame"),
        ("chess club", "mate in three", "the endgame"),
    ),
}
"""Topic -> vocabulary."""


def write_texts(topics_V: np.ndarray, *, rng: np.random.Generator) -> list[Text]:
    """Write the pages of all clips; no title occurs twice until a topic has used up its 125.

    Args:
        topics_V: Topic number per clip.
        rng: Source of chance.

    Returns:
        One text per clip, in order.
    """
    decks = {
        topic: [titles[i] for i in rng.permutation(len(titles))]
        for topic, words in enumerate(WORDS[name] for name in TOPICS)
        for titles in [list(product(words.heroes, words.acts, words.places))]
    }
    used = dict.fromkeys(decks, 0)
    texts = []
    for topic in topics_V.tolist():
        words = WORDS[TOPICS[topic]]
        deck = decks[topic]
        title = " ".join(deck[used[topic] % len(deck)])
        if used[topic] >= len(deck):
            title = f"{title}, part {used[topic] // len(deck) + 1}"
        used[topic] += 1
        facts = rng.permutation(len(words.facts))[:2]
        tags = rng.permutation(len(words.tags))[:3]
        texts.append(
            Text(
                title=title,
                description=" ".join(words.facts[i] for i in facts),
                categories=words.categories,
                tags=tuple(words.tags[i] for i in tags),
                caption=words.caption[int(rng.integers(len(words.caption)))],
            )
        )
    return texts
