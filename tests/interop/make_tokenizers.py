"""Makes tokenizers of many kinds with the libraries that models come with, and what they make of
texts: make_tokenizers.py FOLDER TEXT...

SentencePiece adds scores in f32 and takes worse ways through a megabyte in one piece, so its unigram
model is not asked about the first text.

Writes FOLDER/KIND/ with a tokenizer and an empty model.safetensors, FOLDER/N.txt, and for each kind
FOLDER/KIND/N.ids with the numbers of the tokens of text N, one a line.
"""
import json
import os
import sys

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

ODD = """ two  spaces, and   three\n\n\n\tA tab; trailing \t \r\n windows lines\r\nI'm YOU'LL he's 'tis 12345678 3.14 x²½ ٣٤
naïve café cafe\u0301 \u212b \ufb01 Ａ １ \u00a0nbsp\u2003em\u3000wide 日本語のテキスト 中文字符，标点。 한국어 텍스트 Ελληνικά русский العربية हिन्दी ไทย
emoji 👩‍👩‍👧 🇫🇷 ❤️ <s> </s> <|im_start|>user<|im_end|> <unk> ▁mark ▁▁ <0x0A> \x01\x7f a_b-c+d=e*(f)[g]{h} snake_case CamelCaseHTTPServer https://example.org/?q=1&r=%20
"""

GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN = GPT4.replace(r"\p{N}{1,3}", r"\p{N}")


def bpe(name, texts, normalizer, words, size=3000, alphabet=None, **options):
    tokenizer = Tokenizer(models.BPE(**options))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if words is not None:
        tokenizer.pre_tokenizer = words
    special = ["<unk>", "<s>", "</s>"] if options.get("unk_token") else ["<s>", "</s>"]
    if options.get("byte_fallback"):
        special += ["<0x%02X>" % i for i in range(256)]
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False,
                                   initial_alphabet=alphabet or []))
    if options.get("byte_fallback"):
        tokenizer = without_special(tokenizer, special[3:])
    return name, tokenizer


def without_special(tokenizer, names):
    """Tokens of bytes are no tokens that are cut out of text; training knows no other way."""
    root = json.loads(tokenizer.to_str())
    root["added_tokens"] = [t for t in root["added_tokens"] if t["content"] not in names]
    return Tokenizer.from_str(json.dumps(root))


def byte_level(name, texts, words, normalizer=None, **options):
    return bpe(name, texts, normalizer, words, alphabet=pre_tokenizers.ByteLevel.alphabet(), **options)


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior=behavior, invert=invert)


def unigram(name, texts, words, normalizer=None):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = words
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(texts, trainers.UnigramTrainer(
        vocab_size=2000, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False))
    return name, tokenizer


def all_kinds(texts):
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    lines = [line for text in texts for line in text.splitlines(keepends=True)]
    yield byte_level("gpt2", lines, pre_tokenizers.ByteLevel(add_prefix_space=False))
    yield byte_level("gpt2-prefix", lines, pre_tokenizers.ByteLevel(add_prefix_space=True))
    yield byte_level("llama3", lines, pre_tokenizers.Sequence([split(GPT4), plain]), ignore_merges=True)
    yield byte_level("qwen2", lines, pre_tokenizers.Sequence([split(QWEN), plain]), normalizers.NFC())
    yield byte_level("digits", lines, pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]))
    yield byte_level("removed", lines, pre_tokenizers.Sequence([split(QWEN, "removed", True), plain]))
    yield byte_level("punctuation", lines, pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), plain]))
    yield byte_level("nfkc", lines, pre_tokenizers.Sequence(
        [pre_tokenizers.Split(" ", "merged_with_next"), plain]), normalizers.NFKC())
    name, tokenizer = byte_level("added", lines, pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer.add_special_tokens([AddedToken("<|im_start|>", special=True), AddedToken("<|im_end|>", special=True)])
    tokenizer.add_tokens([AddedToken("he's", rstrip=True, normalized=False), AddedToken("12345", lstrip=True, normalized=False),
                          AddedToken("1234567", normalized=False)])
    yield name, tokenizer
    llama = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    yield bpe("llama2", lines, llama, None, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    yield bpe("gemma", lines, normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"),
              unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    yield bpe("mistral", lines, None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False),
              unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    yield bpe("unknown", lines, None, pre_tokenizers.Metaspace(), unk_token="<unk>", fuse_unk=False, size=600)
    yield unigram("unigram", lines, pre_tokenizers.Metaspace())
    yield unigram("unigram-first", lines, pre_tokenizers.Metaspace(prepend_scheme="first"), normalizers.NFKC())


def sentencepiece_kinds(folder, texts):
    lines = [line for text in texts for line in text.splitlines() if line]
    for name, options in (
            ("sp-bpe", dict(model_type="bpe", byte_fallback=True, remove_extra_whitespaces=False,
                            allow_whitespace_only_pieces=True, split_digits=True)),
            ("sp-bpe-user", dict(model_type="bpe", remove_extra_whitespaces=False, user_defined_symbols=["he's", "<|im_start|>"])),
            ("sp-squeezed", dict(model_type="bpe", byte_fallback=True)),
            ("sp-unigram", dict(model_type="unigram", byte_fallback=True, remove_extra_whitespaces=False)),
            ("sp-unigram-bare", dict(model_type="unigram", add_dummy_prefix=False, remove_extra_whitespaces=False))):
        os.makedirs(f"{folder}/{name}", exist_ok=True)
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_prefix=f"{folder}/{name}/tokenizer", vocab_size=1500,
            normalization_rule_name="identity", minloglevel=2, **options)
        os.remove(f"{folder}/{name}/tokenizer.vocab")
        processor = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/{name}/tokenizer.model")
        yield name, processor.encode


def main(folder, paths):
    texts = [open(path, encoding="utf-8", newline="").read() for path in paths]
    trained_on = [text[:100000] for text in texts] + [ODD]
    texts.append(ODD)
    for i, text in enumerate(texts):
        with open(f"{folder}/{i}.txt", "w", encoding="utf-8", newline="") as file:
            file.write(text)
    encoders = list(sentencepiece_kinds(folder, trained_on))
    for name, tokenizer in all_kinds(trained_on):
        os.makedirs(f"{folder}/{name}", exist_ok=True)
        tokenizer.save(f"{folder}/{name}/tokenizer.json")
        encoders.append((name, lambda text, t=tokenizer: t.encode(text, add_special_tokens=False).ids))
    for name, encode in encoders:
        with open(f"{folder}/{name}/model.safetensors", "wb") as file:
            file.write((8).to_bytes(8, "little") + b"{}      ")
        for i, text in enumerate(texts):
            if i == 0 and name.startswith("sp-unigram"):
                continue
            with open(f"{folder}/{name}/{i}.ids", "w") as file:
                file.writelines(f"{token}\n" for token in encode(text))


main(sys.argv[1], sys.argv[2:])
