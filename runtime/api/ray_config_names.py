"""Names of Ray's configuration for parts that raynb has not, or looks after in its own way, by the reason."""

from __future__ import annotations

from typing import Final

_BY_REASON: Final = {
    "messages go over ZeroMQ, which has no such limits": """
        agent_max_grpc_message_size core_worker_num_server_call_thread enable_grpc_metrics_collection_for
        experimental_object_manager_enable_multiple_connections gcs_grpc_initial_reconnect_backoff_ms
        gcs_grpc_max_reconnect_backoff_ms gcs_grpc_max_request_queued_max_bytes
        gcs_grpc_min_reconnect_backoff_ms gcs_max_active_rpcs_per_handler gcs_server_rpc_client_thread_num
        gcs_server_rpc_server_thread_num grpc_client_check_connection_status_interval_milliseconds
        grpc_client_idle_timeout_ms grpc_client_keepalive_time_ms grpc_client_keepalive_timeout_ms
        grpc_enable_http_proxy grpc_keepalive_time_ms grpc_keepalive_timeout_ms
        grpc_server_retry_timeout_milliseconds grpc_stream_buffer_size max_command_batch_size
        num_grpc_internal_threads num_server_call_thread object_manager_client_connection_num
        object_manager_max_bytes_in_flight object_manager_push_timeout_ms object_manager_rpc_threads_num
        object_manager_timer_freq_ms ray_cookie raylet_client_connect_timeout_milliseconds
        ping_gcs_rpc_server_max_retries raylet_client_num_connect_attempts raylet_rpc_server_reconnect_timeout_base_s
        raylet_rpc_server_reconnect_timeout_max_s task_rpc_inlined_bytes_limit worker_fetch_request_size
        worker_num_grpc_internal_threads
    """,
    "the GCS has its own pace and its own store": """
        gcs_actor_table_min_duration_ms gcs_create_actor_retry_interval_ms
        gcs_create_placement_group_retry_max_interval_ms gcs_create_placement_group_retry_min_interval_ms
        gcs_create_placement_group_retry_multiplier gcs_lease_worker_retry_interval_ms
        gcs_mark_task_failed_on_job_done_delay_ms gcs_mark_task_failed_on_worker_dead_delay_ms
        gcs_pull_resource_loads_period_milliseconds gcs_redis_heartbeat_interval_milliseconds
        gcs_redis_payload_metrics_enabled gcs_resource_broadcast_max_batch_delay_ms
        gcs_resource_broadcast_max_batch_size gcs_rocksdb_io_pool_size gcs_rocksdb_strand_buckets
        gcs_storage gcs_storage_path maximum_gcs_deletion_batch_size
        maximum_gcs_storage_operation_batch_size num_redis_request_retries nums_py_gcs_reconnect_retry
        publish_batch_size publisher_entity_buffer_max_bytes py_gcs_connect_timeout_s
        redis_db_connect_retries redis_db_connect_wait_milliseconds redis_db_probe_timeout_milliseconds
        redis_namespace_cleanup_use_unlink redis_retry_base_ms redis_retry_max_ms redis_retry_multiplier
        subscriber_timeout_ms
    """,
    "there are no agents, exporters and event logs beside a cluster": """
        agent_manager_retry_interval_ms agent_register_timeout_ms disable_open_telemetry_sdk_log
        emit_event_to_log_file emit_main_service_metrics enable_autoscaler_v2
        enable_core_worker_ray_event_to_aggregator enable_export_api_write enable_export_api_write_config
        enable_open_telemetry enable_pipe_based_agent_to_parent_health_check enable_ray_event
        enable_ray_task_event_recorder enable_task_events_to_dashboard_head event_level
        event_log_reporter_enabled export_task_events_write_batch_size
        io_context_event_loop_lag_collection_interval_ms io_context_monitor_healthy_deadline_ms
        io_context_monitor_latency_window_ms io_context_monitor_probe_interval_ms metric_cardinality_level
        metrics_report_batch_size ray_event_recorder_max_queued_events ray_events_report_interval_ms
        task_events_max_num_export_status_events_buffer_on_worker
    """,
    "nothing is polled: a process's death, and what comes of it, is told": """
        cancellation_retry_ms cancelled_lease_tombstone_ttl_ms
        fetch_fail_timeout_milliseconds fetch_warn_timeout_milliseconds
        get_check_signal_interval_milliseconds handler_warning_timeout_ms inline_object_status_in_refs
        kill_worker_timeout_milliseconds max_cancelled_lease_tombstones max_object_report_batch_size
        max_placement_group_load_report_size max_resource_shapes_per_load_report pop_worker_max_retries
        pull_based_healthcheck use_ray_syncer
        ray_syncer_message_refresh_interval_ms raylet_check_for_unexpected_worker_disconnect_interval_ms
        raylet_check_gc_period_milliseconds raylet_core_dump_exclude_plasma_store
        raylet_liveness_self_check_interval_ms raylet_start_wait_time_s report_actor_placement_resources
        report_worker_backlog_interval_ms task_failure_entry_ttl_ms
    """,
    "what is known of tasks is bounded by hub_tasks_max, and always recorded": """
        enable_core_worker_task_event_to_gcs enable_timeline task_events_dropped_task_attempt_batch_size
        task_events_gc_job_summary_interval_ms task_events_max_dropped_task_attempts_tracked_per_job_in_gcs
        task_events_max_num_profile_events_buffer_on_worker task_events_max_num_profile_events_per_task
        task_events_max_num_status_events_buffer_on_worker task_events_send_batch_size
        task_events_shutdown_flush_timeout_ms task_events_skip_driver_for_test
    """,
    "memory and disk are looked after in raynb's own way": """
        count_swap_in_memory_monitor external_storage_namespace
        free_local_objects_backlog_warn_objects_per_node idle_worker_killing_memory_threshold_bytes
        is_external_storage_type_fs local_fs_monitor_interval_ms max_free_local_objects_batch_size
        max_fused_object_count max_kill_memory_buffer_bytes max_spilling_file_size_bytes
        max_task_args_memory_fraction min_memory_free_bytes object_spilling_threshold oom_grace_period_s
        plasma_store_usage_trigger_gc_threshold preallocate_plasma_memory scheduler_report_pinned_bytes_only
        start_python_gc_manager_thread system_memory_bytes_min task_oom_retries task_oom_retry_delay_base_ms
        user_memory_proportion_high user_memory_proportion_max verbose_spill_logs
        worker_core_dump_exclude_plasma_store worker_killing_policy_by_group worker_oom_score_adjustment
        yield_plasma_lock_workaround
    """,
    "where and when something runs is decided in raynb's own way": """
        actor_excess_queueing_warn_threshold enable_infeasible_task_early_exit enable_worker_prestart
        gcs_actor_scheduling_enabled
        locality_aware_leasing_enabled max_pending_lease_requests_per_scheduling_category
        preload_python_modules scheduler_top_k_absolute scheduler_top_k_fraction
        support_fork system_concurrency_group_name task_actor_unavailable_retry_delay_base_ms
        task_actor_unavailable_retry_max_delay_ms worker_cap_enabled worker_cap_initial_backoff_delay_ms
        worker_cap_max_backoff_delay_ms worker_max_resource_analysis_iteration
        worker_maximum_startup_concurrency worker_niceness
    """,
    "where something was made, and how it can be made again, is always recorded, within raynb's own limits": """
        maximum_actor_previous_incarnations maximum_gcs_dead_node_cached_count
        maximum_gcs_dead_worker_cached_count maximum_gcs_destroyed_actor_cached_count
        record_task_actor_creation_sites
    """,
    "texts and logs are as long as they are": """
        enable_output_error_log_if_still_retry log_rotation_backup_count log_rotation_max_bytes
        max_error_msg_size_bytes object_store_get_max_ids_to_print_in_warning pipe_logger_read_buf_size
        runtime_env_skip_local_gc
    """,
}

OTHERS: Final = {name: reason for reason, names in _BY_REASON.items() for name in names.split()}
"""By name: why it has no effect."""
