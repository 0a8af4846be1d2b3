"""Encoders made from configurations, and a catalogue whose texts have topics: nothing is downloaded."""

import numpy as np
import polars as pl
import torch
import transformers

from kinema.store.histories import Histories
from kinema.testing.clips import write_clip

TOPICS = 6
WORDS = [f"{'abcdef'[topic]}{'klmnopqr'[word]}" for topic in range(TOPICS) for word in range(8)]
NOISE = [f"x{letter}" for letter in "abcdefghij"]
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", *WORDS, *NOISE]
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
TOWER = {**SMALL, "intermediate_size": 64, "image_size": 32, "patch_size": 8}


def save_tokenizer(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(TOKENS), encoding="utf-8")
    transformers.BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)


def save_bert(folder, form="BertForPreTraining", *, seed=0):
    """A BERT with random weights that cannot tell the words of the topics apart yet; `form` decides which heads it has."""
    config = transformers.BertConfig(
        **SMALL, vocab_size=len(TOKENS), intermediate_size=64, max_position_embeddings=40, initializer_range=0.1
    )
    transformers.set_seed(seed)
    model = getattr(transformers, form)(config)
    with torch.no_grad():
        words = [TOKENS.index(word) for word in WORDS]
        model.get_input_embeddings().weight[words] *= 0.02
    model.save_pretrained(folder)
    save_tokenizer(folder)
    return str(folder)


def save_vit(folder):
    transformers.set_seed(0)
    transformers.ViTModel(transformers.ViTConfig(**TOWER)).save_pretrained(folder)
    transformers.ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return str(folder)


def save_clip(folder):
    text = {**SMALL, "intermediate_size": 64, "vocab_size": len(TOKENS), "max_position_embeddings": 40}
    ends = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
    transformers.set_seed(0)
    config = transformers.CLIPConfig(text_config=text | ends, vision_config=TOWER, projection_dim=16)
    transformers.CLIPModel(config).save_pretrained(folder)
    edge = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    transformers.CLIPImageProcessorPil(**edge).save_pretrained(folder)
    save_tokenizer(folder)
    return str(folder)


def save_siglip(folder):
    text = {**SMALL, "intermediate_size": 64, "vocab_size": len(TOKENS), "max_position_embeddings": 12}
    text |= {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
    transformers.set_seed(0)
    config = transformers.SiglipConfig(text_config=text, vision_config=TOWER)
    transformers.SiglipModel(config).save_pretrained(folder)
    transformers.SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    save_tokenizer(folder)
    return str(folder)


def topic_items(count, *, seed=0):
    """Rows of items; item n has topic n % TOPICS. Title and description share the topic, seldom a word."""
    random = np.random.default_rng(seed)

    def words(topic, own, noise):
        chosen = [*random.choice(WORDS[topic * 8 : topic * 8 + 8], own, replace=False), *random.choice(NOISE, noise)]
        return " ".join(random.permutation(chosen).tolist())

    return [
        {
            "id": f"v{number}",
            "title": words(number % TOPICS, 3, 1),
            "description": f"{words(number % TOPICS, 3, 1)}. {words(number % TOPICS, 3, 1)}.",
        }
        for number in range(count)
    ]


def topic_histories(count, *, users=400, seed=0):
    """Users who stay with one topic."""
    random = np.random.default_rng(seed)
    lists = []
    for user in range(users):
        own = np.arange(user % TOPICS, count, TOPICS)
        lists.append(random.choice(own, min(8, len(own)), replace=False).tolist())
    return Histories.from_lists(lists, count)


def write_topic_project(folder, *, items, events, clips=False):
    """CSV files for `kinema ingest`; with clips, pictures of a colour that is the topic's."""
    rows = topic_items(items)
    if clips:
        (folder / "clips").mkdir(parents=True)
        for number, row in enumerate(rows):
            row["media_path"] = f"{row['id']}.avi"
            write_clip(folder / "clips" / row["media_path"], [topic_picture(number)] * 2)
    pl.DataFrame(rows).write_csv(folder / "items.csv")
    log = topic_histories(items)
    users = np.repeat(np.arange(log.num_users), log.lengths)
    times = 1_700_000_000 + np.arange(len(log.items)) * 60
    frame = {"user": [f"u{one}" for one in users], "item": [f"v{one}" for one in log.items], "timestamp": times}
    if events:
        pl.DataFrame(frame).with_columns(kind=pl.lit("click")).write_csv(folder / "events.csv")


def topic_picture(number, *, side=32, seed=0):
    """uint8 [side, side, 3]: noise in the colour of the item's topic."""
    random = np.random.default_rng((seed, number))
    colour = np.random.default_rng(number % TOPICS).integers(40, 215, 3)
    return np.clip(colour + random.integers(-40, 40, (side, side, 3)), 0, 255).astype(np.uint8)
