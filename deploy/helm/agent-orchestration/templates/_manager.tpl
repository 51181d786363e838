{{/* The managers' configuration file: `runtime` alone. Agents are known by their workloads' label, so that none of them restarts a manager. */}}
{{- define "agent-orchestration.managerConfig" -}}
{{- $runtime := omit .Values.runtime "managerDrainTimeoutSeconds" -}}
{{- $_ := set $runtime "managerDrainTimeoutSeconds" (include "agent-orchestration.managerDrain" . | float64) -}}
{{- $namespaces := .Values.watchNamespaces | default (list .Release.Namespace) -}}
{{- $_ := set $runtime "discovery" (dict "mode" "kubernetes" "namespaces" $namespaces) -}}
{{- dict "runtime" $runtime | toPrettyJson -}}
{{- end -}}

{{/* How long a leaving manager waits for its forwards: a call may last as long as the drain of the agent that has it. */}}
{{- define "agent-orchestration.managerDrain" -}}
{{- $said := .Values.runtime.managerDrainTimeoutSeconds -}}
{{- if kindIs "invalid" $said -}}
{{- $longest := 30 -}}
{{- range $agent := include "agent-orchestration.agents" . | fromJson -}}{{- $longest = maxf $longest $agent.drainSeconds -}}{{- end -}}
{{- $longest -}}
{{- else -}}
{{- $said -}}
{{- end -}}
{{- end -}}

{{- define "agent-orchestration.managerGrace" -}}
{{- addf .Values.runtime.managerQuietSeconds (include "agent-orchestration.managerDrain" .) 5 | ceil | int64 -}}
{{- end -}}

{{/* Whether an agent of the chart is scaled in this way. Takes {root, type}. */}}
{{- define "agent-orchestration.scaledBy" -}}
{{- range $agent := include "agent-orchestration.agents" .root | fromJson -}}
{{- if and $agent.autoscaling.enabled (eq $agent.autoscaling.type $.type) -}}yes{{- end -}}
{{- end -}}
{{- end -}}
