"""What follows from how a network's nodes hang together."""

from __future__ import annotations

from verifier.checker.errors import CheckError
from verifier.checker.linear import terms
from verifier.checker.lines import U
from verifier.checker.network import Affine, Input, Network, Node, Relu, Sign


def parents(node: Node) -> list[int]:
    """The nodes it reads."""
    match node:
        case Affine():
            return [parent for parent, _ in node.terms]
        case Relu(parent) | Sign(parent):
            return [parent]
        case Input():
            return []


def gamma_of(network: Network) -> float:
    """L1's gamma for the longest sum in the network; raises ``CheckError`` where it is too large for the lemmas."""
    longest, added, readers = max(network.sizes), 0, [0] * len(network.nodes)
    for node in network.nodes:
        if isinstance(node, Affine):
            longest = max([longest, *(terms(m, network.sizes[parent]) for parent, m in node.terms)])
        added = max(added, len(parents(node)))
        for parent in parents(node):
            readers[parent] += 1
    gamma = (2 * (longest + max(added, *readers)) + 64) * U
    if gamma > 1e-6:
        raise CheckError("network too wide for the rounding lemmas")
    return gamma


def descends_from_relu(network: Network) -> list[bool]:
    """Whether there is a ReLU or a sign among what the node is made from, or it is one itself."""
    below: list[bool] = []
    for node in network.nodes:
        match node:
            case Input():
                below.append(False)
            case Affine():
                below.append(any(below[parent] for parent, _ in node.terms))
            case Relu() | Sign():
                below.append(True)
    return below


def feeds_relu(network: Network) -> list[bool]:
    """Whether a ReLU reads the node, directly or through others: only then is its forward form wanted."""
    feeds = [False] * len(network.nodes)
    for k in range(len(network.nodes) - 1, -1, -1):
        node = network.nodes[k]
        for parent in parents(node):
            feeds[parent] = feeds[parent] or feeds[k] or isinstance(node, Relu | Sign)
    return feeds
