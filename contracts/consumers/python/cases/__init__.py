"""The contract's cases, shown by the client in `signalbox_client`."""
