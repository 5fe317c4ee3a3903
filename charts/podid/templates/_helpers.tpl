{{- define "podid.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 59 | trimSuffix "-" -}}
{{- end -}}

{{- define "podid.mic.name" -}}
{{ include "podid.name" . }}-mic
{{- end -}}

{{- define "podid.nmi.name" -}}
{{ include "podid.name" . }}-nmi
{{- end -}}

{{- define "podid.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 59 | trimSuffix "-" -}}
{{- else if contains (default .Chart.Name .Values.nameOverride) .Release.Name -}}
{{- .Release.Name | trunc 59 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (default .Chart.Name .Values.nameOverride) | trunc 59 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "podid.labels" -}}
app.kubernetes.io/name: {{ include "podid.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "podid.mic.labels" -}}
{{ include "podid.labels" . }}
app.kubernetes.io/component: mic
{{- end -}}

{{- define "podid.nmi.labels" -}}
{{ include "podid.labels" . }}
app.kubernetes.io/component: nmi
{{- end -}}

{{- /* "true" in standard mode, empty in managed mode. */ -}}
{{- define "podid.standard" -}}
{{- if eq .Values.operationMode "standard" -}}true
{{- else if ne .Values.operationMode "managed" -}}
{{- fail (printf "operationMode: %q is neither standard nor managed" .Values.operationMode) -}}
{{- end -}}
{{- end -}}

{{- define "podid.leaseNamespace" -}}
{{ default .Release.Namespace .Values.mic.leaderElection.namespace }}
{{- end -}}

{{- define "podid.leaseName" -}}
{{ default "aad-pod-identity-mic" .Values.mic.leaderElection.name }}
{{- end -}}

{{- define "podid.micNamespace" -}}
{{ default .Release.Namespace .Values.nmi.micNamespace }}
{{- end -}}
