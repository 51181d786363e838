{{/* What everything is called, and by which labels it is found. */}}

{{- define "agent-orchestration.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The release's name alone: `agents-executor` is what people type all day. */}}
{{- define "agent-orchestration.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 54 | trimSuffix "-" -}}
{{- end -}}

{{- define "agent-orchestration.managerName" -}}
{{- include "agent-orchestration.fullname" . }}-manager
{{- end -}}

{{/* The headless Service, behind whose name every manager's address stands. */}}
{{- define "agent-orchestration.peersName" -}}
{{- include "agent-orchestration.fullname" . }}-managers
{{- end -}}

{{- define "agent-orchestration.authSecret" -}}
{{- .Values.auth.existingSecret | default (printf "%s-auth" (include "agent-orchestration.fullname" .)) -}}
{{- end -}}

{{- define "agent-orchestration.managerServiceAccount" -}}
{{- $account := .Values.manager.serviceAccount -}}
{{- $account.name | default (ternary (include "agent-orchestration.managerName" .) "default" $account.create) -}}
{{- end -}}

{{/* Labels that never change: selectors are made of them. Takes {root, component, agent?}. */}}
{{- define "agent-orchestration.selectorLabels" -}}
app.kubernetes.io/name: {{ include "agent-orchestration.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- with .agent }}
agent-orchestration.dev/agent: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Labels of an object. Takes {root, component, agent?, extra?}; the chart's own win. */}}
{{- define "agent-orchestration.labels" -}}
{{- $own := include "agent-orchestration.selectorLabels" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/part-of" (include "agent-orchestration.name" .root) -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") -}}
{{- merge $own (deepCopy (.extra | default dict)) (deepCopy .root.Values.commonLabels) | toYaml -}}
{{- end -}}

{{/* Labels of a pod: without versions, or each new chart would replace every pod. */}}
{{- define "agent-orchestration.podLabels" -}}
{{- $own := include "agent-orchestration.selectorLabels" . | fromYaml -}}
{{- merge $own (deepCopy (.extra | default dict)) (deepCopy .root.Values.commonLabels) | toYaml -}}
{{- end -}}

{{/* An image's reference. Takes {root, image}. */}}
{{- define "agent-orchestration.image" -}}
{{- if kindIs "string" .image -}}
{{- .image -}}
{{- else -}}
{{- $tag := .image.tag | default (ternary "" .root.Chart.AppVersion (not (empty .image.digest))) -}}
{{- .image.repository }}{{ with $tag }}:{{ . }}{{ end }}{{ with .image.digest }}@{{ . }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "agent-orchestration.pullPolicy" -}}
{{- if kindIs "string" .image }}IfNotPresent{{ else }}{{ .image.pullPolicy | default "IfNotPresent" }}{{ end -}}
{{- end -}}
