{{/* What managers speak, and whom everyone trusts. */}}

{{- define "agent-orchestration.scheme" -}}
{{- ternary "https" "http" (not (empty .Values.tls.existingSecret)) -}}
{{- end -}}

{{/* Variables of whoever trusts `tls.trust`: OpenSSL's own, which all that is written in Python heeds. */}}
{{- define "agent-orchestration.trustVariables" -}}
{{- if .Values.tls.trust.configMap }}
- name: SSL_CERT_FILE
  value: /etc/agent-orchestration-trust/ca-certificates.crt
{{- end }}
{{- end -}}

{{- define "agent-orchestration.trustMount" -}}
{{- if .Values.tls.trust.configMap }}
- {name: trust, mountPath: /etc/agent-orchestration-trust, readOnly: true}
{{- end }}
{{- end -}}

{{- define "agent-orchestration.trustVolume" -}}
{{- with .Values.tls.trust }}
{{- if .configMap }}
- name: trust
  configMap:
    name: {{ .configMap }}
    items:
      - {key: {{ .key }}, path: ca-certificates.crt}
{{- end }}
{{- end }}
{{- end -}}

{{/* What a Prometheus needs to scrape managers over TLS. Takes {root, name}: the name that their certificate has. */}}
{{- define "agent-orchestration.scrapeTls" -}}
{{- if .root.Values.tls.existingSecret }}
tlsConfig:
  serverName: {{ .name }}
  {{- with .root.Values.tls.trust }}
  {{- if .configMap }}
  ca:
    configMap: {name: {{ .configMap }}, key: {{ .key }}}
  {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Refuses certificates that are given past `tls`: a pod whose clients must show one fails its probes. */}}
{{- define "agent-orchestration.checkTls" -}}
{{- range .variables -}}
{{- if hasPrefix $.prefix .name -}}
{{- fail (printf "%s: %s: the kubelet shows no certificate and asks by plain HTTP unless tls.existingSecret is set, so that its probes would fail; use tls for managers, and a service mesh for agents and for mutual TLS (docs/helm.md)" $.place .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
