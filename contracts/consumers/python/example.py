"""Asks Signalbox for an answer, and shows it while it is written.

    PYTHONPATH=generated python example.py 127.0.0.1:50051 MODEL "a question"
"""

import sys

import grpc

from signalbox_client import Client, ErrorDetails, plaintext


def main(target: str, model: str, question: str) -> None:
    with Client(plaintext(target)) as client:
        try:
            with client.stream_chat(model, question, timeout=30) as answer:
                for text in answer:
                    print(text, end="", flush=True)
        except grpc.RpcError as error:
            problem = ErrorDetails.of(error)
            sys.exit(f"{problem.reason or problem.code.name}: {problem.message}")
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
