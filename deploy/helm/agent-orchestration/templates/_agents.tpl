{{/*
The agents as they are installed, as JSON: `agentDefaults` below what each says, and beside it what is computed and
checked, `drainSeconds`, `graceSeconds` and `name`. Zero and false count: sprig's `default` and `merge` lose them.
*/}}
{{- define "agent-orchestration.agents" -}}
{{- $root := . -}}
{{- $agents := dict -}}
{{- range $id, $own := .Values.agents -}}
{{- $agent := include "agent-orchestration.merged" (dict "under" $root.Values.agentDefaults "over" ($own | default dict)) | fromJson -}}
{{- $_ := set $agent "name" (printf "%s-%s" (include "agent-orchestration.fullname" $root) $id) -}}
{{- $drain := $root.Values.runtime.drainTimeoutSeconds -}}
{{- if hasKey $agent.config "drainTimeoutSeconds" -}}{{- $drain = $agent.config.drainTimeoutSeconds -}}{{- end -}}
{{- $_ := set $agent "drainSeconds" $drain -}}
{{- include "agent-orchestration.checkAgent" (dict "root" $root "id" $id "agent" $agent) -}}
{{- $needed := include "agent-orchestration.neededGrace" $agent | int64 -}}
{{- $grace := $needed -}}
{{- if not (kindIs "invalid" $agent.terminationGracePeriodSeconds) -}}{{- $grace = int64 $agent.terminationGracePeriodSeconds -}}{{- end -}}
{{- $_ := set $agent "graceSeconds" $grace -}}
{{- if lt $grace $needed -}}
{{- fail (printf "agents.%s.terminationGracePeriodSeconds: %d s cannot hold preStopSleepSeconds %v + drainTimeoutSeconds %v + 5 = %d s: the kubelet would kill it in its drain; leave it out, set at least %d, or shorten agents.%s.config.drainTimeoutSeconds" $id $grace $agent.preStopSleepSeconds $drain $needed $needed $id) -}}
{{- end -}}
{{- $_ := set $agents $id $agent -}}
{{- end -}}
{{- $agents | toJson -}}
{{- end -}}

{{/* Two maps as one, as JSON. Maps of a few keys are merged one level deep, everything else of `over` replaces. */}}
{{- define "agent-orchestration.merged" -}}
{{- $deep := list "config" "image" "resources" "podLabels" "podAnnotations" "serviceAccount" "autoscaling" "podSecurityContext" "securityContext" -}}
{{- $result := deepCopy .under -}}
{{- range $key, $value := .over -}}
{{- if and (has $key $deep) (kindIs "map" $value) (kindIs "map" (get $result $key)) -}}
{{- range $inner, $one := $value -}}{{- $_ := set (get $result $key) $inner $one -}}{{- end -}}
{{- else -}}
{{- $_ := set $result $key $value -}}
{{- end -}}
{{- end -}}
{{- $result | toJson -}}
{{- end -}}

{{/* What preStop and drain need before the kubelet may kill: 5 s are for hand-over, unregistration and the exit. */}}
{{- define "agent-orchestration.neededGrace" -}}
{{- addf .preStopSleepSeconds .drainSeconds 5 | ceil | int64 -}}
{{- end -}}

{{/* Refuses, with what to do, what a schema cannot. */}}
{{- define "agent-orchestration.checkAgent" -}}
{{- $id := .id -}}
{{- if eq $id "manager" -}}
{{- fail "agents.manager: the manager's own objects are called so; choose another id" -}}
{{- end -}}
{{- $ways := list -}}
{{- range $way := list "entryPoint" "command" "upstream" -}}{{- if hasKey $.agent.config $way -}}{{- $ways = append $ways $way -}}{{- end -}}{{- end -}}
{{- if gt (len $ways) 1 -}}
{{- fail (printf "agents.%s.config: has %s; an agent has only one of entryPoint, command and upstream" $id (join " and " $ways)) -}}
{{- end -}}
{{- include "agent-orchestration.checkTls" (dict "variables" .agent.env "prefix" "AGENT_TLS_" "place" (printf "agents.%s.env" $id)) -}}
{{- range .agent.env -}}
{{- if has .name (list "AGENT_DRAIN_TIMEOUT_SECONDS" "DRAIN_TIMEOUT_SECONDS") -}}
{{- fail (printf "agents.%s.env: %s would not be part of the grace period; set agents.%s.config.drainTimeoutSeconds" $id .name $id) -}}
{{- end -}}
{{- if has .name (list "AGENTS_CONFIG" "AGENT_ID" "AGENT_HOST" "AGENT_PORT" "LOG_DIRECTORY" "MANAGER_URL" "MANAGER_TOKEN" "MANAGER_TOKEN_FILE" "TERMINATION_GRACE_SECONDS" "POD_NAME" "POD_NAMESPACE" "POD_IP") -}}
{{- fail (printf "agents.%s.env: %s is set by the chart; leave it out" $id .name) -}}
{{- end -}}
{{- end -}}
{{- if and (gt (int64 .agent.preStopSleepSeconds) 0) (semverCompare "<1.30.0-0" .root.Capabilities.KubeVersion.Version) -}}
{{- fail (printf "agents.%s.preStopSleepSeconds: needs Kubernetes 1.30, this is %s; set agents.%s.config.quietSeconds" $id .root.Capabilities.KubeVersion.Version $id) -}}
{{- end -}}
{{- if .agent.autoscaling.enabled -}}{{- include "agent-orchestration.checkAutoscaling" . -}}{{- end -}}
{{- end -}}

{{- define "agent-orchestration.checkAutoscaling" -}}
{{- $scaling := .agent.autoscaling -}}
{{- $place := printf "agents.%s.autoscaling" .id -}}
{{- if lt (int64 $scaling.maxReplicas) (int64 $scaling.minReplicas) -}}
{{- fail (printf "%s: maxReplicas %v is less than minReplicas %v" $place $scaling.maxReplicas $scaling.minReplicas) -}}
{{- end -}}
{{- if eq $scaling.type "keda" -}}
{{- if not $scaling.triggers -}}{{- fail (printf "%s.triggers: KEDA scales by none; name one, or set type: hpa" $place) -}}{{- end -}}
{{- if or $scaling.metrics $scaling.targetCPUUtilizationPercentage $scaling.targetMemoryUtilizationPercentage -}}
{{- fail (printf "%s: metrics and targets are for type: hpa; KEDA has triggers" $place) -}}
{{- end -}}
{{- else -}}
{{- if or $scaling.triggers $scaling.scaledObject -}}{{- fail (printf "%s: triggers and scaledObject are for type: keda" $place) -}}{{- end -}}
{{- if not (or $scaling.metrics $scaling.targetCPUUtilizationPercentage $scaling.targetMemoryUtilizationPercentage) -}}
{{- fail (printf "%s: scaled by nothing; set targetCPUUtilizationPercentage, targetMemoryUtilizationPercentage or metrics" $place) -}}
{{- end -}}
{{- if lt (int64 $scaling.minReplicas) 1 -}}{{- fail (printf "%s.minReplicas: an HPA does not scale to 0; set 1, or type: keda" $place) -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* The adapter's configuration file: this agent, and of `runtime` what an adapter reads, so that it restarts for nothing else. */}}
{{- define "agent-orchestration.agentConfig" -}}
{{- $runtime := dict -}}
{{- range $key := list "heartbeatIntervalSeconds" "logLevel" -}}
{{- if hasKey $.root.Values.runtime $key -}}{{- $_ := set $runtime $key (get $.root.Values.runtime $key) -}}{{- end -}}
{{- end -}}
{{- $agent := merge (dict "id" .id "port" 8100 "drainTimeoutSeconds" .agent.drainSeconds) .agent.config -}}
{{- dict "runtime" $runtime "agents" (list $agent) | toPrettyJson -}}
{{- end -}}

{{/* The replicas to render: those of the values, but 0 where an operator stopped the agent through the manager. */}}
{{- define "agent-orchestration.replicas" -}}
{{- $live := lookup "apps/v1" "Deployment" .root.Release.Namespace .agent.name | default dict -}}
{{- $annotations := dig "metadata" "annotations" dict $live -}}
{{- $stopped := eq (dig "agent-orchestration.dev/desired-state" "" $annotations) "stopped" -}}
{{- if and $stopped (eq (int64 (dig "spec" "replicas" 1 $live)) 0) -}}0{{- else -}}{{ int64 .agent.replicas }}{{- end -}}
{{- end -}}

{{- define "agent-orchestration.agentServiceAccount" -}}
{{- $account := .serviceAccount -}}
{{- if kindIs "string" $account -}}{{- $account -}}
{{- else -}}{{- $account.name | default (ternary .name "default" $account.create) -}}{{- end -}}
{{- end -}}
