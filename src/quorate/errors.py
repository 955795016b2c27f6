"""The errors of quorate, named by whose fault it is.

    QuorateError
    ├── UserError          what was asked for cannot be done: spec, data, plan, options     exit 2   INVALID_ARGUMENT
    │   ├── DataError      a value in a data file does not fit the agreed schema            exit 3   INVALID_ARGUMENT
    │   └── AgreementError the parties hold different specs, plans or versions              exit 4   FAILED_PRECONDITION
    ├── PeerError          another party misbehaved, vanished or cannot be trusted          exit 5   ABORTED
    │   ├── PeerTimeout    another party made no progress in time                           exit 6   DEADLINE_EXCEEDED
    │   ├── IdentityError  a certificate is not the one that was pinned                     exit 7   UNAUTHENTICATED
    │   └── IntegrityError a check of the protocol failed: somebody cheated                 exit 9   DATA_LOSS
    ├── EnvironmentFault   this machine: ports, disks, clocks, files                        exit 8   UNAVAILABLE
    │   └── BrokerFault    a message broker cannot be reached, or refuses us                exit 10  UNAVAILABLE
    │       └── QueueFull  a queue has reached its limit: its receiver does not keep up     exit 10  RESOURCE_EXHAUSTED
    └── InternalError      a bug in quorate                                                 exit 70  INTERNAL

Every message says what is wrong, where, and what to do. No message ever holds a share, a key or a raw value of a
data owner other than to that owner.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AgreementError",
    "BrokerFault",
    "DataError",
    "EnvironmentFault",
    "IdentityError",
    "IntegrityError",
    "InternalError",
    "PeerError",
    "PeerTimeout",
    "QueueFull",
    "QuorateError",
    "UserError",
]


class QuorateError(Exception):
    """Base of all errors that quorate raises on purpose."""

    exit_code: ClassVar[int] = 1
    grpc_code: ClassVar[str] = "UNKNOWN"

    @classmethod
    def public_name(cls) -> str:
        """The class of this module by which users and other members know it: its own, or the nearest above."""
        return next(known.__name__ for known in cls.__mro__ if known.__name__ in __all__)


class UserError(QuorateError):
    """What was asked for cannot be done as written; the message says where and what to change."""

    exit_code = 2
    grpc_code = "INVALID_ARGUMENT"


class DataError(UserError):
    """A value, row or column of a data owner's file does not fit the agreed schema."""

    exit_code = 3


class AgreementError(UserError):
    """The parties do not hold the same spec, plan or software; the message names the difference."""

    exit_code = 4
    grpc_code = "FAILED_PRECONDITION"


class PeerError(QuorateError):
    """Another party vanished, sent something malformed or broke the protocol."""

    exit_code = 5
    grpc_code = "ABORTED"


class PeerTimeout(PeerError):
    """Another party made no progress within the agreed time; the message names the peer and the step."""

    exit_code = 6
    grpc_code = "DEADLINE_EXCEEDED"


class IdentityError(PeerError):
    """The other side did not prove to be the party it claims to be."""

    exit_code = 7
    grpc_code = "UNAUTHENTICATED"


class IntegrityError(PeerError):
    """A check of the protocol failed: somebody cheated, or a machine computes wrongly. Nothing has been opened.

    The message names the check and, where the protocol allows blame, the party. The session's keys are spent.
    """

    exit_code = 9
    grpc_code = "DATA_LOSS"


class EnvironmentFault(QuorateError):
    """Something about this machine: a port in use, a full disk, an unreadable file."""

    exit_code = 8
    grpc_code = "UNAVAILABLE"


class BrokerFault(EnvironmentFault):
    """A message broker cannot be reached, refuses us, or broke off."""

    exit_code = 10


class QueueFull(BrokerFault):
    """A queue holds as much as it may: whoever should empty it does not keep up, or is away."""

    grpc_code = "RESOURCE_EXHAUSTED"


class InternalError(QuorateError):
    """A bug in quorate; please report it with the message."""

    exit_code = 70
    grpc_code = "INTERNAL"
