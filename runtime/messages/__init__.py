"""The wire vocabulary: every message that any two processes exchange, as one tagged union of msgspec Structs.

Headers are schema-checked by msgspec when they are decoded; nothing in here unpickles. A field is only ever added at
the end, with a default; anything else raises `raynb.runtime.messages.config.PROTOCOL_VERSION`.
"""

from __future__ import annotations

from typing import get_args

import msgspec

from raynb.runtime.messages import (
    acts,
    copies,
    events,
    gcs,
    node,
    nodes,
    objects,
    placement,
    store_events,
    tasks,
    transfers,
    why,
)
from raynb.runtime.messages.config import PROTOCOL_VERSION, Config

Message = (
    tasks.PushTasks
    | tasks.TasksDone
    | tasks.TasksReturned
    | tasks.StealTasks
    | tasks.RefsTaken
    | tasks.CancelTask
    | tasks.StreamItems
    | tasks.StreamAck
    | tasks.LastWords
    | tasks.TaskOutput
    | tasks.TaskStopped
    | objects.PullObjects
    | objects.ObjectValues
    | objects.AddBorrowers
    | objects.BorrowersAdded
    | objects.RemoveBorrowers
    | objects.AllocateExtent
    | objects.ExtentGranted
    | objects.ExtentRefused
    | objects.SealObjects
    | objects.FreeObjects
    | objects.OwnerGone
    | objects.StillHeld
    | objects.OrphansReleased
    | objects.LeftBehind
    | copies.CopyAdded
    | copies.CopyDropped
    | copies.ValuesLost
    | copies.KeepCopies
    | copies.CopiesDamaged
    | copies.CopiesKept
    | copies.LocateObjects
    | transfers.FetchObjects
    | transfers.ObjectsFetched
    | transfers.StopFetching
    | transfers.PullChunk
    | transfers.ObjectChunk
    | transfers.NotThere
    | transfers.TryAnother
    | transfers.PullEnded
    | transfers.EvictCopies
    | transfers.CopiesHeld
    | node.JoinNode
    | node.NodeJoined
    | node.LeaveNode
    | node.LeaseDemand
    | node.LeaseGranted
    | node.LeaseReturned
    | node.LeaseReclaim
    | node.LeaseInfeasible
    | node.WorkerBlocked
    | node.WorkerUnblocked
    | node.WorkerRetires
    | node.CollectGarbage
    | node.ProcessDied
    | node.ExitWorker
    | node.KillWorker
    | node.StartActor
    | node.StopNode
    | node.NodeStatus
    | node.WorkerTable
    | node.ActorStartFailed
    | node.WhyWaiting
    | node.StoreUsage
    | node.AreAlive
    | node.LocateObject
    | node.ScaleNode
    | nodes.ClusterView
    | nodes.LeaseSpill
    | nodes.LeaseDeclined
    | gcs.RegisterNode
    | gcs.NodeRegistered
    | gcs.RegisterJob
    | gcs.FinishJob
    | gcs.CreateActor
    | gcs.ActorStarted
    | gcs.WatchActor
    | gcs.ActorState
    | gcs.KillActor
    | gcs.NamedActor
    | gcs.KvPut
    | gcs.KvGet
    | gcs.KvDelete
    | gcs.KvKeys
    | gcs.Query
    | gcs.Reply
    | gcs.Shutdown
    | gcs.ScreenRequest
    | gcs.ScreenTold
    | placement.CreateGroup
    | placement.RemoveGroup
    | placement.ReserveBundles
    | placement.BundlesReserved
    | placement.CommitBundles
    | placement.BundlesCommitted
    | placement.KeepBundles
    | placement.ReturnBundles
    | events.TaskRows
    | events.ObjectRows
    | events.ObjectNames
    | events.ReportObjects
    | events.SendNames
    | events.Spans
    | store_events.StoreEvents
    | store_events.StoredObjects
    | why.WhyObject
    | why.WhatRuns
    | acts.ActRequest
    | acts.OwnerAct
    | acts.CancelTasks
    | acts.Tombstones
    | acts.TombstonesSeen
)

MESSAGE_TYPES: tuple[type[msgspec.Struct], ...] = get_args(Message)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)

encode = _encoder.encode
"""Message -> bytes."""

decode = _decoder.decode
"""bytes -> Message; ``msgspec.DecodeError`` for anything that is not one."""


def checked(message: Message) -> Message:
    """A message with what a program has given, if its receiver can read it: who sends what can't be read is not
    listened to any more.

    Raises
    ------
    TypeError
        Something is not of its field's type; the message names the field.
    """
    try:
        decode(encode(message))
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"this can't be asked of the cluster ({type(message).__name__}): {error}") from None
    return message


__all__ = ["MESSAGE_TYPES", "PROTOCOL_VERSION", "Config", "Message", "checked", "decode", "encode"]
