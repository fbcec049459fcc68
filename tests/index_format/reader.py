"""Reads an index of Hedgerow as `docs/index-format.md` says, and in no other way.

It is here to prove that the page is true: `tests/index_format/main.rs` asks it and the program the
same questions. It takes its numbers from the page's own table, needs nothing but Python 3, and is
made to be read beside the page, not to be fast. Checksums of 240 octets and fewer, for which XXH3
has other ways, it does not check.

    python3 reader.py ask INDEX [KEY...] < QUESTIONS    what is said of each name and address
    python3 reader.py walk INDEX                        all names with what is said of them
    python3 reader.py explain INDEX                     how the blocks of names are read

A question is `name` and the name in wire format as hexadecimal digits, or `address` and an address.
"""

import hashlib
import ipaddress
import json
import re
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "index-format.md"
WORD = (1 << 64) - 1


class Damaged(Exception):
    """What is in the file makes no sense."""


def need(condition, what):
    """A check that the page demands."""
    if not condition:
        raise Damaged(what)


def numbers_of(page):
    """The rows of the page's table of numbers."""
    rows = re.findall(r"^\| `([a-z-]+)` \| `([^`]+)` \|", page, re.MULTILINE)
    numbers = {}
    for name, text in rows:
        value = text.replace("_", "") if name != "alphabet" else text
        if name == "magic":
            numbers[name] = bytes.fromhex(value)
        elif name == "alphabet":
            numbers[name] = value.encode()
        else:
            numbers[name] = int(value, 0)
    return numbers


N = numbers_of(PAGE.read_text(encoding="utf-8"))
END, GAP = N["end"], N["gap"]
# Behind the end and the gap come the letters.
LETTERS = {octet: symbol for symbol, octet in enumerate(N["alphabet"], 2)}
OCTETS = {symbol: octet for octet, symbol in LETTERS.items()}


def little(octets, at, size):
    """A number of `size` octets."""
    part = octets[at : at + size]
    need(len(part) == size, "cut off")
    return int.from_bytes(part, "little")


# --- The checksum: XXH3 with 64 bits, for rows of more than 240 octets ---------------------------

SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
PRIME32_1, PRIME32_2, PRIME32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
PRIME64_1, PRIME64_2 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F
PRIME64_3, PRIME64_4 = 0x165667B19E3779F9, 0x85EBCA77C2B2AE63
PRIME64_5 = 0x27D4EB2F165667C5


def lanes(octets, at):
    """Eight numbers of 64 bits."""
    return [int.from_bytes(octets[at + 8 * n : at + 8 * n + 8], "little") for n in range(8)]


def xxh3(octets):
    """The checksum of more than 240 octets; none of fewer, which this reader does not check."""
    if len(octets) <= 240:
        return None
    sums = [PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3, PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1]

    def accumulate(at, secret_at):
        stripe, secret = lanes(octets, at), lanes(SECRET, secret_at)
        for n in range(8):
            keyed = stripe[n] ^ secret[n]
            sums[n ^ 1] = (sums[n ^ 1] + stripe[n]) & WORD
            sums[n] = (sums[n] + (keyed & 0xFFFFFFFF) * (keyed >> 32)) & WORD

    stripes = (len(SECRET) - 64) // 8
    whole_blocks = (len(octets) - 1) // (64 * stripes)
    for block in range(whole_blocks):
        for stripe in range(stripes):
            accumulate((block * stripes + stripe) * 64, 8 * stripe)
        for n, secret in enumerate(lanes(SECRET, len(SECRET) - 64)):
            mixed = sums[n] ^ (sums[n] >> 47) ^ secret
            sums[n] = mixed * PRIME32_1 & WORD
    begin = whole_blocks * stripes * 64
    for stripe in range((len(octets) - begin - 1) // 64):
        accumulate(begin + 64 * stripe, 8 * stripe)
    accumulate(len(octets) - 64, len(SECRET) - 64 - 7)

    result = len(octets) * PRIME64_1 & WORD
    for n in range(4):
        low, high = (int.from_bytes(SECRET[11 + 16 * n + k :][:8], "little") for k in (0, 8))
        product = (sums[2 * n] ^ low) * (sums[2 * n + 1] ^ high)
        result = (result + ((product & WORD) ^ (product >> 64))) & WORD
    result ^= result >> 37
    result = result * 0x165667919E3779F9 & WORD
    return result ^ (result >> 32)


# --- Bits and codes -------------------------------------------------------------------------------


class Bits:
    """Bits in a row, the highest of an octet first; behind the end there are zeroes."""

    def __init__(self, octets, at_bit=0):
        self.octets, self.at = octets, at_bit

    def take(self, count):
        value = self.peek(count)
        self.at += count
        return value

    def peek(self, count):
        first, last = self.at // 8, (self.at + count + 7) // 8
        part = self.octets[first:last].ljust(last - first, b"\0")
        value = int.from_bytes(part, "big") >> (8 * last - self.at - count)
        return value & ((1 << count) - 1)


class Code:
    """A canonical prefix code, from the lengths of the rows of bits of its symbols."""

    def __init__(self, lengths):
        self.rows = {}
        row = 0
        for length in range(1, N["longest-code"] + 1):
            row <<= 1
            for symbol, its in enumerate(lengths):
                if its == length:
                    need(row < 1 << length, "more symbols than rows of bits")
                    self.rows[length, row] = symbol
                    row += 1

    def take(self, bits):
        row = 0
        for length in range(1, N["longest-code"] + 1):
            row = row << 1 | bits.take(1)
            if (length, row) in self.rows:
                return self.rows[length, row]
        raise Damaged("a row of bits that is no symbol")


class Codes:
    """The part `Codes`."""

    def __init__(self, octets, pairs, sets):
        self.tokens = [[] if symbol == END else [symbol] for symbol in range(N["symbols"])]
        need(len(self.tokens) + pairs <= N["most-tokens"], "too many tokens")
        for number in range(pairs):
            first, second = (little(octets, 4 * number + half, 2) for half in (0, 2))
            need(max(first, second) < len(self.tokens), "a pair of tokens that are not there")
            token = self.tokens[first] + self.tokens[second]
            need(len(token) <= N["token-symbols"], "a token of too many symbols")
            self.tokens.append(token)
        self.token_bits = (len(self.tokens) - 1).bit_length()
        lengths = [half for it in octets[4 * pairs :] for half in (it & 15, it >> 4)]
        counts = [N["shared-symbols"]] * N["shared-codes"]
        counts += [N["count-symbols"], N["set-symbols"]]
        need(len(lengths) == sum(counts), "the length of the codes")
        codes = []
        for count in counts:
            codes.append(Code(lengths[:count]))
            del lengths[:count]
        *self.shared, self.counts, self.sets = codes
        self.says_each_set = N["other-set"] not in self.counts.rows.values()
        self.set_bits = max(sets - 1, 0).bit_length()

    def take_shared(self, before, bits):
        length = self.shared[min(before, N["shared-codes"] - 1)].take(bits)
        return bits.take(N["far-bits"]) if length == N["shared-symbols"] - 1 else length

    def take_count(self, bits, is_head):
        """How many tokens; before that, the set if it is said."""
        said = self.take_set(bits) if self.says_each_set and not is_head else None
        count = self.counts.take(bits)
        if count == N["other-set"]:
            need(not is_head, "two sets of a head")
            said = self.take_set(bits)
            count = self.counts.take(bits)
            need(count != N["other-set"], "two sets of one name")
        return said, bits.take(N["far-bits"]) if count == N["many-tokens"] else count

    def take_set(self, bits):
        symbol = self.sets.take(bits)
        if symbol == N["rare-set"]:
            return "number", bits.take(self.set_bits)
        if symbol == N["lone-set"]:
            return "place", bits.take(32)
        return "number", symbol

    def tokens_before(self, end, count, begin, octets):
        """So many tokens, the first right in front of the bit `end`, none in front of `begin`."""
        tokens = []
        for number in range(1, count + 1):
            at = end - number * self.token_bits
            need(at >= begin, "more tokens than there are")
            token = Bits(octets, at).take(self.token_bits)
            need(token < len(self.tokens), "a token that is not there")
            tokens.append(token)
        return tokens


# --- Names ----------------------------------------------------------------------------------------


def labels_of(wire):
    """The labels of a name in wire format, from left to right."""
    labels, at = [], 0
    while wire[at]:
        labels.append(wire[at + 1 : at + 1 + wire[at]])
        at += 1 + wire[at]
    return labels


def row_of(labels):
    """The symbols of the labels below the top, from right to left; none where a letter is not in
    the alphabet."""
    row = []
    for label in reversed(labels):
        if any(octet not in LETTERS for octet in label):
            return None
        row += [LETTERS[octet] for octet in label] + [GAP]
    return row[:-1] + [END]


def key_of(row, count=None):
    """The first symbols of a row as a number."""
    key = 0
    for place in range(count or N["key-symbols"]):
        key = key * N["symbols"] + (row[place] if place < len(row) else END)
    return key


def hash_label(parent, label):
    """The filter's hash of a name, from that of its parent."""
    wire = bytes([len(label)]) + label
    state = parent
    for at in range(0, len(wire), 8):
        state = mix(state, int.from_bytes(wire[at : at + 8], "little"))
    return state


def mix(state, word):
    """A word multiplied into a hash."""
    product = (state ^ word) * N["filter-factor"]
    state = (product >> 64) ^ (product & WORD)
    turn = N["filter-rotation"]
    return (state << turn | state >> (64 - turn)) & WORD


class Block:
    """A block of names."""

    def __init__(self, index, number, names):
        self.index, self.codes = index, index.codes
        self.bits = Bits(index.part["names"], 8 * index.begins[number])
        separator = index.separators[number]
        self.separator = []
        for _ in range(N["key-symbols"]):
            self.separator.insert(0, separator % N["symbols"])
            separator //= N["symbols"]
        self.prefix = self.bits.take(N["prefix-bits"])
        need(self.prefix <= N["key-symbols"], "a prefix longer than a separator")
        self.width = self.bits.take(N["width-bits"])
        size = 1 << index.group_bits
        self.sizes = [min(size, names - at) for at in range(0, names, size)]
        others = len(self.sizes) - 1
        self.short = [self.bits.take(N["short-bits"]) for _ in range(others)]
        self.offsets = [self.bits.take(self.width) for _ in self.sizes]
        self.groups = self.bits.at

    def head(self, group):
        """The first name of a group."""
        return next(self.group(group))[0]

    def group(self, group, tell=lambda *_: None):
        """The names of a group, each with its set. `tell` is told how each is read: from which bit
        on, how much of it is shared, which symbols follow, which set it has if that is told, and
        its tokens."""
        end = self.bits.at = self.groups + self.offsets[group]
        row, shared, saying = self.separator + [END], self.prefix, None
        for number in range(self.sizes[group]):
            begin = self.bits.at
            if number == 0:
                saying = self.codes.take_set(self.bits)
            else:
                shared = self.codes.take_shared(shared if number > 1 else 0, self.bits)
            said, count = self.codes.take_count(self.bits, number == 0)
            saying = said or saying
            octets = self.index.part["names"]
            tokens = self.codes.tokens_before(end, count, self.groups, octets)
            end -= count * self.codes.token_bits
            need(shared < len(row), "more is shared than there is")
            rest = sum((self.codes.tokens[token] for token in tokens), [])
            row = row[:shared] + rest + [END]
            need(len(row) <= N["most-symbols"] + 1, "a name of too many symbols")
            told = saying if number == 0 else said
            tell(begin, None if number == 0 else shared, rest, told, tokens)
            yield row, saying

    def find(self, row):
        """The set of the name with this row; none if it is not in the block."""
        group = len(self.sizes) - 1
        if self.separator[: self.prefix] == (row + [END] * self.prefix)[: self.prefix]:
            wanted = key_of(row[self.prefix :], N["short-symbols"])
            group = sum(1 for _ in self.until(wanted))
        while self.head(group) > row:
            if group == 0:
                return None
            group -= 1
        return next((said for its, said in self.group(group) if its == row), None)

    def until(self, wanted):
        """The short separators up to the first that is greater."""
        for short in self.short:
            if short > wanted:
                return
            yield short


# --- Sets and modifiers ---------------------------------------------------------------------------


def take_length(octets, at):
    """A length of seven bits an octet; where what it counts begins."""
    length = 0
    for number in range(4):
        octet = little(octets, at + number, 1)
        length |= (octet & 0x7F) << 7 * number
        if octet < 0x80:
            return length, at + number + 1
    raise Damaged("a length of more than four octets")


def counted(octets, at):
    """The octets whose length stands at `at`."""
    length, begin = take_length(octets, at)
    need(begin + length <= len(octets), "cut off")
    return octets[begin : begin + length], begin + length


def postings(octets, at):
    """The postings of the set at `at`."""
    more = True
    while more:
        number, flags = little(octets, at, 2), little(octets, at + 2, 1)
        at += 3
        modifiers = None
        if flags & 16:
            modifiers, at = counted(octets, at)
        yield number, min(flags & 3, 2), bool(flags & 4), bool(flags & 8), modifiers
        more = flags & 32


def shown(modifiers):
    """Modifiers for people: their octets, or a dash."""
    return "-" if modifiers is None else modifiers.hex() or "empty"


# --- Patterns -------------------------------------------------------------------------------------


class Patterns:
    """The part `Patterns`."""

    def __init__(self, octets):
        self.count = 0
        if not octets:
            return
        head = [little(octets, 4 * n, 4) for n in range(9)]
        self.count, always, self.set_bits, self.bucket_bits, texts, written_texts = head[:6]
        sets, steps, written = head[6:]
        need(0 < self.count <= N["most-patterns"], "the number of patterns")
        need(3 <= self.set_bits <= 25 and 1 <= self.bucket_bits <= 20, "the size of the bit set")
        at = 36

        def part(entries, size):
            nonlocal at
            begin, at = at, at + entries * size
            need(at <= len(octets), "cut off")
            return octets[begin:at]

        records = part(self.count, 20)
        always = part(always, 2)
        self.bit_set = part(1 << (self.set_bits - 3), 1)
        buckets = part((1 << self.bucket_bits) + 1, 4)
        texts, written_texts = part(texts, 8), part(written_texts, 1)
        sets, steps = part(sets, 32), part(steps, 3)
        written, table = part(written, 1), octets[at:]
        self.always = {little(always, n, 2) for n in range(0, len(always), 2)}
        self.buckets = [little(buckets, n, 4) for n in range(0, len(buckets), 4)]
        self.texts = []
        for n in range(0, len(texts), 8):
            begin = little(texts, n + 4, 4)
            text = written_texts[begin : begin + texts[n + 3]]
            self.texts.append((little(texts, n, 2), texts[n + 2], text))
        self.records = []
        for n in range(0, len(records), 20):
            place = little(records, n + 4, 4)
            modifiers = None if place == 0xFFFFFFFF else counted(table, place)[0]
            text_at, text_length = little(records, n + 8, 4), little(records, n + 12, 2)
            step_at, step_count = little(records, n + 14, 4), little(records, n + 18, 2)
            program = []
            for step in range(step_at, step_at + step_count):
                what, number = steps[3 * step], little(steps, 3 * step + 1, 2)
                if what == 2:
                    number = sets[32 * number : 32 * number + 32]
                program.append((what, number))
            self.records.append(
                {
                    "list": little(records, n, 2),
                    "flags": records[n + 2],
                    "kind": records[n + 3],
                    "modifiers": modifiers,
                    "text": written[text_at : text_at + text_length].decode(),
                    "program": program,
                }
            )

    def tried(self, marked):
        """The patterns that must be tried for a name between its marks."""
        numbers = set(self.always)
        for at in range(len(marked) - 2):
            state = int.from_bytes(marked[at : at + 3], "big")
            state = state * N["text-factor"] & 0xFFFFFFFF
            bit, bucket = state >> (32 - self.set_bits), state >> (32 - self.bucket_bits)
            if not self.bit_set[bit >> 3] >> (bit & 7) & 1:
                continue
            for number, ahead, text in self.texts[self.buckets[bucket] : self.buckets[bucket + 1]]:
                if at >= ahead and marked[at - ahead :].startswith(text):
                    numbers.add(number)
        return numbers

    def look_up(self, labels):
        text = b".".join(labels)
        tried = self.tried(b"\x02" + text + b"\x03")
        for number, record in enumerate(self.records):
            matches = runs(record["program"], text) != bool(record["flags"] & 4)
            # The texts are a short cut; they decide nothing.
            need(not matches or number in tried, "a pattern that matches and is not tried")
            if matches:
                yield number, record


def is_word(text, at):
    """Whether an octet of a word is there."""
    return 0 <= at < len(text) and (chr(text[at]).isalnum() and text[at] < 128 or text[at] == 95)


def runs(program, text):
    """Whether a program finds what it looks for."""
    edges = [
        lambda at: at == 0,
        lambda at: at == len(text),
        lambda at: is_word(text, at - 1) != is_word(text, at),
        lambda at: is_word(text, at - 1) == is_word(text, at),
        lambda at: not is_word(text, at - 1) and is_word(text, at),
        lambda at: is_word(text, at - 1) and not is_word(text, at),
    ]
    waiting = set()
    for at in range(len(text) + 1):
        reached = [0]
        for step in waiting:
            what, number = program[step]
            octet = text[at - 1]
            if number == octet if what == 1 else number[octet >> 3] >> (octet & 7) & 1:
                reached.append(step + 1)
        waiting, seen = set(), set()
        while reached:
            step = reached.pop()
            if step in seen or step >= len(program):
                continue
            seen.add(step)
            what, number = program[step]
            if what == 0:
                return True
            if what in (1, 2):
                waiting.add(step)
            elif what == 3:
                reached.append(number)
            elif what == 4:
                reached += [number, step + 1]
            elif what == 5 and number < 6 and edges[number](at):
                reached.append(step + 1)
    return False


# --- Addresses ------------------------------------------------------------------------------------


class Addresses:
    """The part `Addresses`."""

    def __init__(self, octets):
        self.groups = []
        if not octets:
            return
        count = little(octets, 0, 4)
        need(count <= 160, "too many lengths of prefixes")
        end = 4 + 12 * count
        groups = []
        for number in range(count):
            at = 4 + 12 * number
            family, length = octets[at], octets[at + 1]
            entries, begin = little(octets, at + 4, 4), little(octets, at + 8, 4)
            need(family in (4, 6) and begin == end, "a group of prefixes")
            width = 4 if family == 4 else 16
            need(1 <= length <= 8 * width, "the length of a prefix")
            end += entries * (width + 7)
            groups.append((family, length, width, entries, begin))
        need(end <= len(octets), "cut off")
        for family, length, width, entries, begin in groups:
            records = []
            for at in range(begin, begin + entries * (width + 7), width + 7):
                place = little(octets, at + width + 3, 4)
                modifiers = None if place == 0xFFFFFFFF else counted(octets[end:], place)[0]
                prefix = int.from_bytes(octets[at : at + width], "big")
                flags = octets[at + width + 2]
                records.append((prefix, little(octets, at + width, 2), flags, modifiers))
            need([it[0] for it in records] == sorted(it[0] for it in records), "the order")
            self.groups.append((family, length, 8 * width, records))

    def look_up(self, text):
        address = ipaddress.ip_address(text)
        if address.version == 6 and address.ipv4_mapped:
            address = address.ipv4_mapped
        for family, length, width, records in self.groups:
            if family != address.version:
                continue
            for prefix, number, flags, modifiers in records:
                if prefix >> (width - length) == int(address) >> (width - length):
                    yield number, bool(flags & 1), bool(flags & 2), length, modifiers


# --- Sealed names ---------------------------------------------------------------------------------


def siphash(key, octets):
    """SipHash-2-4 with 128 bits of output."""
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    v = [
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D ^ 0xEE,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    ]

    def turned(value, by):
        return (value << by | value >> (64 - by)) & WORD

    def rounds(count):
        for _ in range(count):
            v[0] = (v[0] + v[1]) & WORD
            v[1] = turned(v[1], 13) ^ v[0]
            v[0] = turned(v[0], 32)
            v[2] = (v[2] + v[3]) & WORD
            v[3] = turned(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & WORD
            v[3] = turned(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & WORD
            v[1] = turned(v[1], 17) ^ v[2]
            v[2] = turned(v[2], 32)

    padded = octets + b"\0" * (7 - len(octets) % 8) + bytes([len(octets) & 0xFF])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xEE
    rounds(4)
    first = v[0] ^ v[1] ^ v[2] ^ v[3]
    v[1] ^= 0xDD
    rounds(4)
    second = v[0] ^ v[1] ^ v[2] ^ v[3]
    return first.to_bytes(8, "little") + second.to_bytes(8, "little")


def fingerprint(key, labels):
    """The fingerprint of a name."""
    wire = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return siphash(key, wire)[: N["fingerprint-octets"]]


class Sealed:
    """The part `Sealed`."""

    def __init__(self, octets, keys):
        self.lists = []
        if not octets:
            return
        tail = len(octets) - 8
        chunks, count = little(octets, tail, 4), little(octets, tail + 4, 4)
        table = tail - 32 * count
        directory = table - 16 * chunks
        need(directory >= 0, "cut off")
        end, all_chunks = 0, []
        for number in range(chunks):
            at = directory + 16 * number
            first, entries = octets[at : at + 10], little(octets, at + 10, 2)
            begin = little(octets, at + 12, 4)
            need(begin == end and 0 < entries <= N["chunk-fingerprints"], "a chunk")
            words = -(-entries // N["word-fingerprints"])
            filter_octets = octets[begin : begin + 8 * words]
            begin += 8 * words
            end = begin + 10 * entries
            stored = [octets[place : place + 10] for place in range(begin, end, 10)]
            need(stored[0] == first and stored == sorted(stored), "the order of fingerprints")
            all_chunks.append((first, filter_octets, stored))
        need(end == directory, "chunks that do not reach to their directory")
        ids = {hashlib.sha256(b"hedgerow sealed key\0" + key).digest()[:8]: key for key in keys}
        next_chunk = 0
        for at in range(table, tail, 32):
            need(octets[at + 2 : at + 4] == bytes([N["sealed-hash"], 0]), "another hash")
            first, here = little(octets, at + 16, 4), little(octets, at + 20, 4)
            need(first == next_chunk and first + here <= chunks, "the chunks of a list")
            next_chunk += here
            mine = all_chunks[first : first + here]
            entries = sum(len(chunk[2]) for chunk in mine)
            need(entries == little(octets, at + 24, 8), "the number of fingerprints")
            self.lists.append((little(octets, at, 2), ids.get(octets[at + 8 : at + 16]), mine))

    def look_up(self, labels):
        for number, key, chunks in self.lists:
            if key is None:
                continue
            for cut in range(len(labels)):
                count = len(labels) - cut
                if not 2 <= count <= N["most-sealed-labels"]:
                    continue
                if self.holds(chunks, fingerprint(key, labels[cut:])):
                    yield number, count

    @staticmethod
    def holds(chunks, wanted):
        before = [chunk for chunk in chunks if chunk[0] <= wanted]
        if not before:
            return False
        _, filter_octets, stored = before[-1]
        words = len(filter_octets) // 8
        word = int.from_bytes(wanted[2:6], "big") * words >> 32
        word = int.from_bytes(filter_octets[8 * word : 8 * word + 8], "little")
        low = int.from_bytes(wanted[6:10], "big")
        passes = all(word >> (low >> shift & 63) & 1 for shift in (0, 6, 12, 18))
        need(passes or wanted not in stored, "a filter that does not let its names through")
        return passes and wanted in stored


# --- The index ------------------------------------------------------------------------------------

PARTS = [
    "lists",
    "filter",
    "codes",
    "tops",
    "separators",
    "names",
    "sets",
    "patterns",
    "addresses",
    "sealed",
]


class Index:
    """An index, checked as the page demands."""

    def __init__(self, octets, keys=()):
        self.octets = octets
        need(octets[:8] == N["magic"], "not an index")
        need(little(octets, 8, 4) == N["version"], "another version")
        need(len(octets) >= N["header"], "cut off")
        covered = N["header"] - 8
        need(xxh3(octets[:covered]) == little(octets, covered, 8), "the header's checksum")
        need(len(octets) == little(octets, 16, 8), "the length of the file")
        body = xxh3(octets[N["header"] :])
        need(body in (None, little(octets, 24, 8)), "the checksum")
        self.recipe = octets[32:64]
        self.names = little(octets, 64, 8)
        counts = [little(octets, 72 + 4 * n, 4) for n in range(6)]
        self.lists_count, tops, blocks, sets, self.root, pairs = counts
        self.fewest_labels, self.most_labels, self.block_bits, self.group_bits = octets[96:100]
        need(self.group_bits <= self.block_bits <= N["most-block-bits"], "the size of a block")
        self.part = {}
        for number, name in enumerate(PARTS):
            begin, length = (little(octets, 104 + 16 * number + k, 8) for k in (0, 8))
            outside = begin < N["header"] or begin + length > len(octets)
            need(length == 0 or not outside, "a part outside of the file")
            self.part[name] = octets[begin : begin + length] if length else b""
        self.lists = json.loads(self.part["lists"])
        need(len(self.lists) == self.lists_count, "another number of lists")
        need(len(self.part["separators"]) == 12 * blocks, "the number of blocks")
        need(len(self.part["sets"]) >= 4 * sets, "the number of sets")
        self.separators = [little(self.part["separators"], 12 * n, 8) for n in range(blocks)]
        self.begins = [little(self.part["separators"], 12 * n + 8, 4) for n in range(blocks)]
        self.places = [little(self.part["sets"], 4 * n, 4) for n in range(sets)]
        self.codes = Codes(self.part["codes"], pairs, sets) if self.part["codes"] else None
        self.tops = self.read_tops(tops, blocks)
        self.patterns = Patterns(self.part["patterns"])
        self.addresses = Addresses(self.part["addresses"])
        self.sealed = Sealed(self.part["sealed"], keys)

    def read_tops(self, count, blocks):
        """The top-level labels: first block and number of names of each."""
        part = self.part["tops"]
        tops, next_block, names = {}, 0, int(self.root > 0)
        for number in range(count):
            at = little(part, 8 * count + 4 * number, 4)
            first, here, length = little(part, at, 4), little(part, at + 4, 4), part[at + 8]
            label = part[at + 9 : at + 9 + length]
            need(part[8 * number : 8 * number + 8] == label[:8].ljust(8, b"\0"), "the key of a top")
            need(0 < len(label) == length <= 63 and first == next_block, "a top-level label")
            next_block += -(-here >> self.block_bits)
            names += here
            tops[label] = (first, here)
        need(next_block == blocks and names == self.names, "the names of all tops")
        need(list(tops) == sorted(tops), "the order of tops")
        return tops

    def may_hold(self, home, state):
        """Whether a hash is in the block of the filter of a home with another hash."""
        blocks = len(self.part["filter"]) // N["filter-block"]
        if blocks == 0:
            return False
        at = ((home >> 32) * blocks >> 32) * N["filter-block"]
        mixed = state * N["filter-factor"] & WORD
        words = [little(self.part["filter"], at + 8 * n, 8) for n in range(8)]
        return all(words[n] >> (mixed >> (58 - 6 * n) & 63) & 1 for n in range(8))

    def passes(self, states):
        """Whether the filter lets a name through, given the hashes of its parents, itself included,
        the one with one label first."""
        count = min(len(states), N["nearest-home"])
        while not self.may_hold(states[count - 1], states[-1]):
            mark = mix(states[count - 1], 0)
            if count >= min(len(states), N["farthest-home"]):
                return False
            if not self.may_hold(states[count - 1], mark):
                return False
            count += 1
        return True

    def blocks_of(self, top):
        """The blocks of a top, each as its number and how many names it has."""
        first, names = self.tops[top]
        size = 1 << self.block_bits
        return [(first + at // size, min(size, names - at)) for at in range(0, names, size)]

    def find(self, labels):
        """Where the set of this very name stands; none if it is not listed."""
        row = row_of(labels[:-1])
        if labels[-1] not in self.tops or row is None:
            return None
        key = key_of(row)
        fitting = [it for it in self.blocks_of(labels[-1]) if self.separators[it[0]] <= key]
        # Of several blocks with this separator the first names tell.
        while fitting and self.separators[fitting[-1][0]] == key:
            if Block(self, *fitting[-1]).head(0) <= row:
                break
            fitting.pop()
        if not fitting:
            return None
        said = Block(self, *fitting[-1]).find(row)
        return None if said is None else self.place_of(said)

    def place_of(self, said):
        """Where a set stands."""
        what, value = said
        if what == "number":
            need(value < len(self.places), "a set that is not there")
            return self.places[value]
        return value

    def look_up(self, wire):
        """Lines with all that is said about a name."""
        labels = labels_of(wire)
        states, maybe = [N["filter-seed"]], []
        for cut in reversed(range(len(labels))):
            if len(labels) - cut > self.most_labels:
                break
            states.append(hash_label(states[-1], labels[cut]))
            if len(labels) - cut >= self.fewest_labels and self.passes(states[1:]):
                maybe.append(cut)
        places = [(len(labels) - cut, self.find(labels[cut:])) for cut in reversed(maybe)]
        if self.root:
            places.append((0, self.root - 1))
        for count, place in places:
            if place is None:
                continue
            for number, reach, excepted, important, modifiers in postings(self.part["sets"], place):
                itself = count == len(labels)
                if reach == 1 and not itself or reach == 2 and itself:
                    continue
                words = ("name", number, reach, int(excepted), int(important), count)
                yield " ".join(map(str, words)) + " " + shown(modifiers)
        if self.patterns.count:
            for number, record in self.patterns.look_up(labels):
                flags = record["flags"]
                words = ("pattern", number, record["list"], flags & 1, flags >> 1 & 1)
                modifiers = shown(record["modifiers"])
                yield " ".join(map(str, words)) + f" {modifiers} {record['kind']} {record['text']}"
        for number, count in self.sealed.look_up(labels):
            yield f"sealed {number} {count}"

    def walk(self):
        """All names with where their sets stand, in order."""
        if self.root:
            yield ".", self.root - 1
        for top in self.tops:
            for number, names in self.blocks_of(top):
                block = Block(self, number, names)
                for group in range(len(block.sizes)):
                    for row, said in block.group(group):
                        yield text_of(top, row), self.place_of(said)


def text_of(top, row):
    """A name as people write it."""
    labels = [""]
    for symbol in row[:-1]:
        if symbol == GAP:
            labels.append("")
        else:
            labels[-1] += chr(OCTETS[symbol])
    labels = [label for label in labels if label]
    return ".".join(labels[::-1] + [top.decode()])


def signs(symbols):
    """Symbols as people read them: a dot for the gap, a bar for the end."""
    return "".join({END: "|", GAP: "."}.get(symbol) or chr(OCTETS[symbol]) for symbol in symbols)


def explain(index):
    """How names are read, bit by bit."""
    if index.codes is None:
        return
    for number, token in enumerate(index.codes.tokens[N["symbols"] :], N["symbols"]):
        print(f"token {number}: {signs(token)}")
    for top in index.tops:
        for number, names in index.blocks_of(top):
            block = Block(index, number, names)
            octets = index.part["names"]
            separator = signs(block.separator)
            print(f"block {number}: below `{top.decode()}`, {names} of them, separator {separator}")
            head = Bits(octets, 8 * index.begins[number])
            for bits, what in [(N["prefix-bits"], "shared by heads"), (N["width-bits"], "width")]:
                print(f"  {head.peek(bits):0{bits}b}  {what} {head.take(bits)}")
            for bits, what, values in [
                (N["short-bits"], "short separator", block.short),
                (block.width, "offset", block.offsets),
            ]:
                for value in values:
                    taken = f"{head.take(bits):0{bits}b}" if bits else "no bits"
                    print(f"  {taken}  {what} {value}")
            for group in range(len(block.sizes)):
                print(f"  group {group}, from its middle on")

                def tell(begin, shared, rest, said, tokens):
                    length = block.bits.at - begin
                    taken = f"{Bits(octets, begin).peek(length):0{length}b}"
                    words = ["head" if shared is None else f"shares {shared}"]
                    if said is not None:
                        words.append("set {} {}".format(*said))
                    if tokens:
                        bits = " ".join(f"{token:0{index.codes.token_bits}b}" for token in tokens)
                        words.append(f"then {signs(rest)}: {bits}")
                    else:
                        words.append("then nothing")
                    print(f"    {taken}  {', '.join(words)}")

                for _ in block.group(group, tell):
                    pass


def main(verb, path, *keys):
    index = Index(Path(path).read_bytes(), [bytes.fromhex(key) for key in keys])
    if verb == "explain":
        explain(index)
    elif verb == "walk":
        for name, place in index.walk():
            found = postings(index.part["sets"], place)
            print(name, *("/".join([*(str(int(word)) for word in it[:4]), shown(it[4])]) for it in found))
    elif verb == "ask":
        for line in sys.stdin:
            what, text = line.split()
            if what == "address":
                found = index.addresses.look_up(text)
                lines = [
                    f"address {number} {int(excepted)} {int(important)} {length} {shown(modifiers)}"
                    for number, excepted, important, length, modifiers in found
                ]
            else:
                lines = list(index.look_up(bytes.fromhex(text)))
            print(text, *lines, sep="; ")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Damaged as damage:
        sys.exit(f"damaged: {damage}")
