"""Names that Ray's own workings have: they can be imported here, and no more (`raynb.differences`)."""

from __future__ import annotations

from typing import Final

_BY_MODULE: Final = {
    "_private.ray_constants": """
        AGENT_GRPC_MAX_MESSAGE_LENGTH AGENT_PROCESS_LIST AGENT_PROCESS_TYPE_DASHBOARD_AGENT
        AGENT_PROCESS_TYPE_RUNTIME_ENV_AGENT AUTOSCALER_EVENTS AUTOSCALER_RESOURCE_REQUEST_CHANNEL
        CALLER_MEMORY_USAGE_PER_OBJECT_REF DASHBOARD_ADDRESS DASHBOARD_CLIENT_MAX_SIZE
        DEBUG_AUTOSCALING_STATUS_LEGACY DEFAULT_ACTOR_METHOD_NUM_RETURN_VALS DEFAULT_CGROUP_PATH
        DEFAULT_CLIENT_RECONNECT_GRACE_PERIOD DEFAULT_MAX_SYSTEM_RESERVED_CPU_CORES
        DEFAULT_MAX_SYSTEM_RESERVED_MEMORY_BYTES DEFAULT_MIN_SYSTEM_RESERVED_CPU_CORES
        DEFAULT_MIN_SYSTEM_RESERVED_MEMORY_BYTES DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES
        DEFAULT_SYSTEM_RESERVED_CPU_PROPORTION DEFAULT_SYSTEM_RESERVED_MEMORY_PROPORTION
        DEFAULT_USER_PHYSICAL_LOGICAL_MEMORY_LIMIT_BUFFER_BYTES DISABLE_DASHBOARD_LOG_INFO
        DUPLICATE_REMOTE_FUNCTION_THRESHOLD ENABLE_RAY_CLUSTERS_ENV_VAR GCS_PORT_ENVIRONMENT_VARIABLE
        GCS_SERVER_REQUEST_TIMEOUT_SECONDS GRPC_CPP_MAX_MESSAGE_SIZE GRPC_ENABLE_HTTP_PROXY
        HEALTHCHECK_EXPIRATION_S HPU KV_HEAD_NODE_ID_KEY LANGUAGE_WORKER_TYPES LOGGER_FORMAT
        LOGGER_FORMAT_ESCAPE LOGGER_FORMAT_HELP LOGGER_FORMAT_STDERR LOGGER_LEVEL LOGGER_LEVEL_CHOICES
        LOGGER_LEVEL_HELP LOG_MONITOR_LOG_FILE_NAME LOG_MONITOR_NUM_LINES_TO_READ LOG_PREFIX_INFO_MESSAGE
        MACH_PAGE_SIZE_BYTES MAC_DEGRADED_PERF_MMAP_SIZE_LIMIT MAX_APPLICATION_ERROR_LENGTH
        MAX_PROFILING_DURATION_S MAX_PROFILING_DURATION_S_ENV_KEY MAX_RESOURCE_QUANTITY MIN_PROFILING_DURATION_S
        MONITOR_LOG_FILE_NAME NEURON_CORES NIXL_REMOTE_AGENT_CACHE_MAXSIZE NPU NUM_PORT_RETRIES
        NUM_REDIS_GET_RETRIES OBJECT_METADATA_DEBUG_PREFIX OBJECT_METADATA_TYPE_ACTOR_HANDLE
        OBJECT_METADATA_TYPE_CROSS_LANGUAGE OBJECT_METADATA_TYPE_PYTHON OBJECT_METADATA_TYPE_RAW
        PROMETHEUS_SERVICE_DISCOVERY_FILE RAY_API_SERVER_ADDRESS_ENVIRONMENT_VARIABLE
        RAY_BACKEND_LOG_JSON_ENV_VAR RAY_DASHBOARD_ENABLE_PROFILING RAY_DASHBOARD_PROFILING_CPU_DURATION_DEFAULT
        RAY_DASHBOARD_PROFILING_CPU_FORMAT_DEFAULT RAY_DASHBOARD_PROFILING_IDLE_DEFAULT
        RAY_DASHBOARD_PROFILING_LEAKS_DEFAULT RAY_DASHBOARD_PROFILING_MEMORY_DURATION_DEFAULT
        RAY_DASHBOARD_PROFILING_MEMORY_FORMAT_DEFAULT RAY_DASHBOARD_PROFILING_NATIVE_DEFAULT
        RAY_DASHBOARD_PROFILING_SUBPROCESSES_DEFAULT RAY_DASHBOARD_PROFILING_TRACE_PYTHON_ALLOCATORS_DEFAULT
        RAY_DASHBOARD_REDACT_RUNTIME_ENV RAY_DASHBOARD_STARTUP_TIMEOUT_S RAY_DEDUP_LOGS
        RAY_DEDUP_LOGS_AGG_WINDOW_S RAY_DEDUP_LOGS_ALLOW_REGEX RAY_DEDUP_LOGS_SKIP_REGEX
        RAY_DISABLE_FAILURE_SIGNAL_HANDLER RAY_DISABLE_WORKER_LOG_PREFIX RAY_ENABLE_EXPORT_API_WRITE
        RAY_ENABLE_EXPORT_API_WRITE_CONFIG RAY_ENABLE_EXPORT_API_WRITE_CONFIG_STR RAY_ENABLE_GCS_LEADER_ELECTION
        RAY_ENABLE_GCS_LEADER_ELECTION_ENV_VAR RAY_ENABLE_OPEN_TELEMETRY RAY_ENABLE_PYTHON_RAY_EVENT_TYPES
        RAY_ENABLE_ZERO_COPY_TORCH_TENSORS RAY_EXPORT_EVENT_MAX_BACKUP_COUNT
        RAY_EXPORT_EVENT_MAX_FILE_SIZE_BYTES RAY_FLUSH_DRIVER_LOGS RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S
        RAY_GRACEFUL_SHUTDOWN_POLL_INTERVAL_S RAY_INTERNAL_FLAGS RAY_JOB_HEADERS RAY_JOB_SUBMIT_HOOK
        RAY_LOG_TO_DRIVER RAY_LOG_TO_DRIVER_EVENT_LEVEL RAY_METRIC_CARDINALITY_LEVEL RAY_NODE_IP_FILENAME
        RAY_REDIS_PASSWORD_ENV RAY_RUNTIME_ENV_DEFAULT_EXCLUDES RAY_START_HOOK
        RAY_TPU_MAX_CONCURRENT_CONNECTIONS_ENV_VAR RAY_WORKER_PROCESS_SETUP_HOOK_LOAD_TIMEOUT_ENV_VAR
        RDT_FETCH_FAIL_TIMEOUT_SECONDS REDIS_DEFAULT_USERNAME REQUIRE_SHM_SIZE_THRESHOLD
        RUNTIME_ENV_CONDA_PY_VERSIONS SETUP_WORKER_FILENAME TPU
        VALID_CPU_PROFILING_FORMATS VALID_MEMORY_PROFILING_FORMATS WORKER_PROCESS_TYPE_IDLE_WORKER
        WORKER_PROCESS_TYPE_RESTORE_WORKER WORKER_PROCESS_TYPE_RESTORE_WORKER_DELETE
        WORKER_PROCESS_TYPE_RESTORE_WORKER_IDLE WORKER_PROCESS_TYPE_RESTORE_WORKER_NAME
        WORKER_PROCESS_TYPE_SPILL_WORKER WORKER_PROCESS_TYPE_SPILL_WORKER_DELETE
        WORKER_PROCESS_TYPE_SPILL_WORKER_IDLE WORKER_PROCESS_TYPE_SPILL_WORKER_NAME _clamp_profiling_duration
        _profiling_duration_cap _validated_profiling_format env_set_by_user get_runtime_env_default_excludes
        CALL_STACK_LINE_DELIMITER LABELS_ENVIRONMENT_VARIABLE LOGGING_REDIRECT_STDERR_ENVIRONMENT_VARIABLE
        RAY_LOGGING_CONFIG_ENCODING RAY_WORKER_NICENESS
    """,
    "_private.utils": """
        ENV_DISABLE_DOCKER_CPU_WARNING GcsNodeInfo GetAllNodeInfoRequest INT32_MAX
        PLACEMENT_GROUP_INDEXED_BUNDLED_RESOURCE_PATTERN PLACEMENT_GROUP_WILDCARD_RESOURCE_PATTERN
        ProtoRuntimeEnvInfo Unbuffered _CALLED_FREQ _CALLED_FREQ_LOCK _get_docker_cpus binary_to_object_ref
        binary_to_task_id compute_job_id_from_driver connect_error detect_fate_sharing_support_linux
        detect_fate_sharing_support_win32 format_error_message get_all_node_info_until_retrieved
        get_cgroup_mem_stats get_cgroup_used_memory get_dashboard_dependency_error get_ray_address_file
        get_ray_client_dependency_error get_visible_accelerator_ids in_test internal_kv_list_with_retry
        is_in_test linux_prctl parse_metadata_json parse_resources_json remove_ray_internal_flags_from_env
        reset_visible_accelerator_env_vars set_kill_on_parent_death_linux set_visible_accelerator_ids
        validate_actor_state_name
    """,
    "_private.test_utils": """
        Config DEFAULT_DRIVER_TIMEOUT_SECONDS EXE_SUFFIX GcsClient GcsClientOptions GlobalStateAccessor
        KILLED_DRIVER_DRAIN_TIMEOUT_SECONDS ProcessInfo RAY_PATH REDIS_EXECUTABLE RPC_FAILURE_MAP
        RPC_FAILURE_TYPES RayContext _BatchQueueActor _QueueActor _auth_token_header _check_call_windows
        _detach_process _execute_command_on_node _pid_alive _put _terminate_ec2_instance
        auth_token_grpc_metadata external_ray_cluster_activity_hook1 external_ray_cluster_activity_hook2
        external_ray_cluster_activity_hook3 external_ray_cluster_activity_hook4
        external_ray_cluster_activity_hook5 generate_self_signed_tls_certs get_actor
        get_gpu_visible_devices_env_var get_test_config_path job_hook list_actors memory_monitor memory_summary
        mock_accelerator_detection mock_no_accelerators persistent_gcs_test_enabled
        ray_cluster_activity_hook_5_counter ray_cluster_activity_hook_counter request_with_auth_token
        rocksdb_gcs_test_enabled safe_write_to_results_json sandbox_test_enabled set_setup_func
        test_get_directory_size_bytes wait_for_aggregator_agent wait_for_aggregator_agent_if_enabled
        wandb_setup_api_key_hook
    """,
    "_private.worker": """
        ActorClass CompiledDAGRef DAGNode FunctionActorManager Language LoggingConfig
        PlacementGroupSchedulingStrategy RAY_JOB_CONFIG_JSON_ENV_VAR RAY_TQDM_MAGIC
        RAY_WARN_BLOCKING_GET_INSIDE_ASYNC_ENV_VAR ResourceIsolationConfig WorkerID _changeproctitle
        _connect_or_shutdown_lock _import_from_string _initialize_internal_kv _internal_kv_get
        _internal_kv_initialized _internal_kv_reset _make_remote _maybe_modify_runtime_env _merge_runtime_env
        _mode _post_init_hooks _remove_protocol_from_url _should_ignore_worker_log_prefix _worker_logs_enabled
        autoscaler_log_fyi_printed blocking_get_inside_async_warned blocking_wait_inside_async_warned
        custom_excepthook enable_token_auth_by_default ensure_token_if_auth_enabled get_ray_doc_version
        global_worker_stdstream_dispatcher hide_tqdm is_cython maybe_enable_token_auth_if_token_available
        normal_excepthook raise_sys_exit_with_custom_error_message repr_with_fallback restore_tqdm
        stderr_deduplicator stdout_deduplicator upload_py_modules_if_needed
        upload_worker_process_setup_hook_if_needed upload_working_dir_if_needed with_connect_or_shutdown_lock
    """,
    "_private.state": """
        GlobalStateAccessor HEAD_NODE_RESOURCE_NAME NODE_ID_PREFIX TaskEventsHeadClient
        _DASHBOARD_HEAD_QUERY_TIMEOUT_S _GCS_STATUS_CODE_OK _READ_TASK_EVENTS_FROM_DASHBOARD_HEAD
        _TASK_EVENTS_QUERY_PATH get_worker_debugger_port object_transfer_timeline update_worker_debugger_port
        update_worker_num_paused_threads validate_actor_state_name
    """,
    "_private.services": """
        AUTOSCALER_PRIVATE_DIR AUTOSCALER_V2_DIR ConsolePopen DASHBOARD_DEPENDENCY_ERROR_MESSAGE
        DEFAULT_NATIVE_LIBRARY_PATH DEFAULT_WORKER_EXECUTABLE EXE_SUFFIX GcsClient GcsClientOptions GcsNodeInfo
        GetAllNodeInfoRequest JEMALLOC_SO Language NodeID RAY_HOME RAY_JEMALLOC_CONF RAY_JEMALLOC_LIB_PATH
        RAY_JEMALLOC_PROFILE RAY_MEMRAY_PROFILE_COMPONENT_ENV RAY_MEMRAY_PROFILE_OPTIONS_ENV RAY_PATH
        RAY_PRIVATE_DIR RUN_RAYLET_PROFILER ResourceAndLabelSpec ResourceIsolationConfig
        _build_python_executable_command_memory_profileable _cached_find_gcs_addresses _find_address_from_flag
        _find_gcs_addresses_lock _get_gcs_client_options _is_raylet_process _no_site _no_user_site _site_flags
        _thread_safe_find_gcs_addresses_cache_clear _timeout build_cpp_worker_command build_java_worker_command
        determine_plasma_store_config find_bootstrap_address find_node_ids get_address get_node
        get_node_instance_id get_node_with_retry get_ray_jars_dir node_ip_address_from_perspective
        serialize_config start_api_server start_log_monitor start_monitor start_ray_client_server start_reaper
    """,
    "_private.state_api_test_utils": """
        ActorHandle DEFAULT_LIMIT DEFAULT_RPC_TIMEOUT GLOBAL_STATE_STATS GcsChannel GcsClient ListApiOptions
        PredicateType STATE_LIST_LIMIT STATE_LIST_TIMEOUT StateAPICallSpec StateAPIGeneratorActor
        StateAPIManager StateAPIStats StateDataSourceClient SupportedFilterType aggregate_perf_results
        invoke_state_api list_workers periodic_invoke_state_apis_with_actor summarize_worker_startup_time
    """,
    "_private.internal_api": """
        GcsClientOptions GlobalState MAX_MESSAGE_LENGTH
    """,
    "_private.profiling": """
        ChromeTracingCompleteEvent ChromeTracingMetadataEvent NULL_LOG_SPAN _NullLogSpan _default_color_mapping
        chrome_tracing_dump
    """,
    "_private.client_mode_hook": """
        RAY_CLIENT_MODE_ATTR _client_hook_status_on_thread _disable_client_hook _explicitly_disable_client_mode
        _explicitly_enable_client_mode _get_client_hook_status_on_thread _set_client_hook_status
        client_mode_convert_actor client_mode_convert_function is_init_called
    """,
    "_common.utils": """
        GcsClient GcsNodeInfo GetAllNodeInfoRequest NodeID RANDOM_STRING_ALPHABET RESOURCE_CONSTRAINT_PREFIX
        Timer TimerBase _CGROUP_V1_MEMSW_LIMIT _CGROUP_V1_MEMSW_USAGE _CGROUP_V1_MEM_LIMIT _CGROUP_V1_MEM_USAGE
        _CGROUP_V2_SWAP_CURRENT _CGROUP_V2_SWAP_MAX _INT64_MAX _PRINTED_WARNING _get_host_swap_memory
        _read_cgroup_v2_swap_current get_call_location get_cgroup_aware_swap_memory get_function_args
        get_ray_address_file import_module_and_attr resolve_user_ray_temp_dir resources_from_ray_options
        try_make_directory_shared
    """,
    "_common.test_utils": """
        KILLED_DRIVER_DRAIN_TIMEOUT_SECONDS Sample _UNREAPED_PROCESS_RETURNCODE _detach_process
        _get_extra_usage_tags _get_library_usages ray_usage_lib
    """,
    "_common.ray_constants": """
        LOGGING_ROTATE_BACKUP_COUNT LOGGING_ROTATE_BYTES
    """,
    "_raylet": """
        AUTHORIZATION_HEADER_NAME ActorDiedErrorContext AuthenticationMode AuthenticationTokenLoader Buffer
        CppFunctionDescriptor DASHBOARD_AGENT_LISTEN_PORT_NAME EmptyFunctionDescriptor EmptyProfileEvent
        EventRecorder FunctionDescriptor GCS_AUTOSCALER_CLUSTER_CONFIG_KEY GCS_AUTOSCALER_STATE_NAMESPACE
        GCS_AUTOSCALER_V2_ENABLED_KEY GRPC_STATUS_CODE_DEADLINE_EXCEEDED GRPC_STATUS_CODE_RESOURCE_EXHAUSTED
        GRPC_STATUS_CODE_UNAVAILABLE GRPC_STATUS_CODE_UNIMPLEMENTED GRPC_STATUS_CODE_UNKNOWN
        GetAllNodeInfoRequest GetAllResourceUsageReply GetDrainingNodesReply IMPLICIT_RESOURCE_PREFIX
        METRICS_AGENT_PORT_NAME METRICS_EXPORT_PORT_NAME MessagePackSerializedObject NODE_MARKET_TYPE_ENV
        NODE_REGION_ENV NODE_TYPE_NAME_ENV NODE_ZONE_ENV NodeAffinitySchedulingStrategy
        NodeLabelSchedulingStrategy NumReturnsWarning OPTIMIZED Pickle5SerializedObject
        PlacementGroupSchedulingStrategy ProfileEvent RAY_INTERNAL_DASHBOARD_NAMESPACE
        RAY_INTERNAL_NAMESPACE_PREFIX RAY_NODE_ACCELERATOR_TYPE_KEY RAY_NODE_GROUP_KEY RAY_NODE_MARKET_TYPE_KEY
        RAY_NODE_REGION_KEY RAY_NODE_TPU_POD_TYPE_KEY RAY_NODE_TPU_SLICE_NAME_KEY RAY_NODE_TPU_TOPOLOGY_KEY
        RAY_NODE_TPU_WORKER_ID_KEY RAY_NODE_ZONE_KEY RESOURCE_UNIT_SCALING RUNTIME_ENV_AGENT_PORT_NAME
        RawSerializedObject RayEvent STREAMING_GENERATOR_RETURN SerializedRayObject
        StreamingGeneratorExecutionContext StreamingGeneratorStats SubBuffer
        WORKER_PROCESS_SETUP_HOOK_KEY_NAME_GCS _GcsSubscriber _async_reserve_actor_generator_slot
        _async_wait_for_object_consumed _call_actor_shutdown _current_proctitle _current_proctitle_lock
        _event_recorder_instance _event_recorder_lock _release_actor_generator_slot
        _reserve_actor_generator_slot _set_future_helper _temporarily_disable_gc _wait_for_object_consumed
        async_task_function_name async_task_id async_task_name check_id check_nil compute_task_id
        current_task_id current_task_id_lock del_key_prefix_from_storage execute_streaming_generator_async
        exit_actor_task_ids exit_actor_task_ids_lock get_all_interfaces_ip get_authentication_mode
        get_port_filename get_session_key_from_storage is_k8s_token_auth_enabled job_config_initialization_lock
        job_config_initialized maybe_initialize_job_config merge_instantaneous_total_cython
        node_ip_address_from_perspective node_labels_match_selector persist_port
        raise_sys_exit_with_custom_error_message serialize_retry_exception_allowlist split_buffer
        time_weighted_average_cython unpack_pickle5_buffers validate_authentication_token
        wait_for_persisted_port
    """,
    "util.state.common": """
        AVAILABLE_STATES DEFAULT_DOWNLOAD_FILENAME DRIVER_TASK_ID_PREFIX IS_PYDANTIC_2 Link PredicateType
        SupportedFilterType TaskEvents TaskStatus TaskType TypeActorStatus TypeNodeStatus
        TypePlacementGroupStatus TypeReferenceType TypeTaskStatus TypeTaskType TypeWorkerExitType TypeWorkerType
        detail_cols dict_to_state filterable_cols remove_ansi_escape_codes
    """,
    "util.placement_group": """
        NODE_ID_LABEL_KEY _call_placement_group_ready _call_placement_group_ready_async
        _configure_placement_group_based_on_context _derive_node_level_strategy _get_bundle_cache
        _valid_resource_shape _validate_resource_shape _validate_topology_strategy client_mode_should_convert
        client_mode_wrap get_ray_doc_version validate_label_selector
    """,
    "util.annotations": """
        AnnotationType _append_doc _get_indent
    """,
}

NAMES: Final = {module: names.split() for module, names in _BY_MODULE.items()}
"""By module, without ``ray.``."""
