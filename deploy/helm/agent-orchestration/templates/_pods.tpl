{{/* Parts that the pods of managers and agents share. */}}

{{- define "agent-orchestration.podVariables" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
- name: LOG_DIRECTORY
  value: /tmp/logs
- name: AGENTS_CONFIG
  value: /etc/agent-orchestration/agents.config.json
{{- range $name, $value := .Values.otel }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/*
Whether it lives, and whether it may be called. `/health` answers while the event loop turns, also in a drain; code that
holds the interpreter for half a minute is slow, not dead. Start-up is looked at each second, that a rollout is quick.
Takes the scheme; of a certificate the kubelet wants nothing.
*/}}
{{- define "agent-orchestration.probes" -}}
startupProbe:
  httpGet: {path: /health, port: http{{ include "agent-orchestration.probeScheme" . }}}
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /health, port: http{{ include "agent-orchestration.probeScheme" . }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /ready, port: http{{ include "agent-orchestration.probeScheme" . }}}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end -}}

{{- define "agent-orchestration.probeScheme" -}}
{{- if eq . "https" }}, scheme: HTTPS{{ end -}}
{{- end -}}

{{/* Over the nodes where that can be had, counting only pods of the same rollout. Takes the selector's arguments. */}}
{{- define "agent-orchestration.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels: {{- include "agent-orchestration.selectorLabels" . | nindent 6 }}
{{- end -}}

{{/* Containers that users bring, with what Pod Security `restricted` demands where they say nothing. */}}
{{- define "agent-orchestration.containers" -}}
{{- $restricted := dict "allowPrivilegeEscalation" false "capabilities" (dict "drop" (list "ALL")) -}}
{{- $containers := list -}}
{{- range . -}}
{{- $containers = append $containers (ternary . (merge (dict "securityContext" $restricted) .) (hasKey . "securityContext")) -}}
{{- end -}}
{{- $containers | toYaml -}}
{{- end -}}

{{/* Where and with what priority a pod is scheduled. */}}
{{- define "agent-orchestration.scheduling" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
