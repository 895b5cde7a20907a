#!/usr/bin/env python3
"""Presidio's pattern recognizers as a worker: all that are on by default for English, with
their validators, behind an NLP engine that does nothing. examples/scan_worker.rs says
what goes over standard input and output; this speaks the same.

    presidio_worker.py TEXTS.json
"""

import json
import logging
import sys
import time

from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine


class NoNlp(NlpEngine):
    """No tokens, no entities: what is left is patterns and validators."""

    def load(self):
        pass

    def is_loaded(self):
        return True

    def process_text(self, text, language):
        return NlpArtifacts([], [], [], [], self, language)

    def process_batch(self, texts, language, **kwargs):
        return ((text, self.process_text(text, language)) for text in texts)

    def is_stopword(self, word, language):
        return False

    def is_punct(self, word, language):
        return False

    def get_supported_entities(self):
        return []

    def get_supported_languages(self):
        return ["en"]


def main():
    # It asks the network for a newer list of public suffixes and goes on without it.
    logging.disable(logging.CRITICAL)
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"])
    registry.recognizers = [it for it in registry.recognizers if "Spacy" not in it.name]
    engine = AnalyzerEngine(registry=registry, nlp_engine=NoNlp(), supported_languages=["en"])
    texts = json.load(open(sys.argv[1], encoding="utf-8"))
    engine.analyze(texts[0], "en")
    print(json.dumps({"ready": f"{len(registry.recognizers)} recognizers"}), flush=True)
    for line in sys.stdin:
        turn = json.loads(line)
        chosen = texts[turn["from"] : turn["to"]]
        wall, cpu = time.perf_counter(), time.process_time()
        found = 0
        for _ in range(turn["times"]):
            for text in chosen:
                found += len(engine.analyze(text, "en"))
        print(
            json.dumps(
                {
                    "bytes": turn["times"] * sum(len(text.encode()) for text in chosen),
                    "findings": found,
                    "cpu_s": time.process_time() - cpu,
                    "wall_s": time.perf_counter() - wall,
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
