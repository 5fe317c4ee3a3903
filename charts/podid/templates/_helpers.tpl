{{- define "podid.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 59 | trimSuffix "-" -}}
{{- end -}}

{{- define "podid.mic.name" -}}
{{ include "podid.name" . }}-mic
{{- end -}}

{{- define "podid.nmi.name" -}}
{{ include "podid.name" . }}-nmi
{{- end -}}

{{- define "podid.drain.name" -}}
{{ include "podid.name" . }}-drain
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

{{- /* What selects pods: without the labels that change with the chart's version. */ -}}
{{- define "podid.selectors" -}}
app.kubernetes.io/name: {{ include "podid.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "podid.labels" -}}
{{ include "podid.selectors" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "podid.mic.labels" -}}
{{ include "podid.labels" . }}
app.kubernetes.io/component: mic
{{- end -}}

{{- define "podid.nmi.labels" -}}
{{ include "podid.labels" . }}
app.kubernetes.io/component: nmi
{{- end -}}

{{- /* The annotations of an object: commonAnnotations, and those of the second argument. Empty, or the whole block. */ -}}
{{- define "podid.annotations" -}}
{{- $root := index . 0 -}}
{{- $more := dict -}}
{{- if gt (len .) 1 }}{{ $more = index . 1 }}{{ end -}}
{{- with mustMergeOverwrite (dict) ($root.Values.commonAnnotations | default dict) $more -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- /* "true" in standard mode, empty in managed mode. */ -}}
{{- define "podid.standard" -}}
{{- if eq .Values.operationMode "standard" -}}true
{{- else if ne .Values.operationMode "managed" -}}
{{- fail (printf "operationMode: %q is neither standard nor managed" .Values.operationMode) -}}
{{- end -}}
{{- end -}}

{{- /* Whether a value is true, or the text "true", which aad-pod-identity's users wrote as well. */ -}}
{{- define "podid.isTrue" -}}
{{- if eq (toString .) "true" -}}true{{- end -}}
{{- end -}}

{{- /* A number as text: Helm reads those of a file as floats, and prints a million as 1e+06. */ -}}
{{- define "podid.number" -}}
{{- if kindIs "float64" . -}}
{{- if eq (float64 (int64 .)) . }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{- /* Lines `- "--flag=value"` for pairs of flag and value. "", false and the number 0 are left out, as ever, false not in a triple; `bare` is a flag without value. */ -}}
{{- define "podid.flags" -}}
{{- $lines := list -}}
{{- range . -}}
{{- $value := index . 1 -}}
{{- if eq (toString $value) "bare" -}}
{{- $lines = append $lines (printf "- \"--%s\"" (index . 0)) -}}
{{- else if not (or (kindIs "invalid" $value) (and (not (kindIs "string" $value)) (eq (toString $value) "0")) (has (toString $value) (ternary (list "") (list "" "false") (eq (len .) 3)))) -}}
{{- $lines = append $lines (printf "- %s" (printf "--%s=%s" (index . 0) (include "podid.number" $value) | quote)) -}}
{{- end -}}
{{- end -}}
{{- join "\n" $lines -}}
{{- end -}}

{{- define "podid.image" -}}
{{- $root := index . 0 -}}
{{- printf "%s/%s:%s" $root.Values.image.repository (index . 1) (default $root.Chart.AppVersion (index . 2)) -}}
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

{{- /* Where the ConfigMap podid-lifecycle is: MIC reads its own namespace's, NMI that of nmi.micNamespace. JSON list. */ -}}
{{- define "podid.lifecycleNamespaces" -}}
{{- list .Release.Namespace (include "podid.micNamespace" .) | uniq | toJson -}}
{{- end -}}

{{- define "podid.mic.probePort" -}}
{{ include "podid.number" (.Values.mic.probePort | default 8080) }}
{{- end -}}

{{- define "podid.nmi.probePort" -}}
{{ include "podid.number" (.Values.nmi.probePort | default 8080) }}
{{- end -}}

{{- define "podid.mic.prometheusPort" -}}
{{ include "podid.number" (.Values.mic.prometheusPort | default 8888) }}
{{- end -}}

{{- define "podid.nmi.prometheusPort" -}}
{{ include "podid.number" (.Values.nmi.prometheusPort | default 9090) }}
{{- end -}}

{{- /* Where the kernel does the redirecting to a loopback address. */ -}}
{{- define "podid.nmi.setsRouteLocalnet" -}}
{{- if and (include "podid.isTrue" .Values.nmi.routeLocalnet) (regexMatch "^(127[.].*|0[.]0[.]0[.]0)?$" .Values.nmi.listenAddress) -}}true{{- end -}}
{{- end -}}

{{- /* What the rules need, and nothing else. NET_ADMIN has no effect without root. */ -}}
{{- define "podid.nmi.securityContext" -}}
runAsUser: 0
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
  add: [NET_ADMIN, NET_RAW]
{{- end -}}

{{- /* Which identity `helm test` uses, as JSON: that of the values under test, else the first managed one under azureIdentities. */ -}}
{{- define "podid.test.identity" -}}
{{- $found := dict -}}
{{- range $entry := .Values.azureIdentities -}}
{{- if and (not $found) (eq (int (default 0 $entry.type)) 0) $entry.binding (has (default $.Release.Namespace $entry.namespace) (list $.Release.Namespace)) -}}
{{- $parts := regexFindAll "[^/]+" (default "" $entry.resourceID) -1 -}}
{{- if ge (len $parts) 4 -}}
{{- $found = dict "selector" $entry.binding.selector "clientID" $entry.clientID "subscriptionID" (index $parts 1) "resourceGroup" (index $parts 3) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $key := list "selector" "clientID" "subscriptionID" "resourceGroup" -}}
{{- with index $.Values.test $key }}{{ $_ := set $found $key . }}{{ end -}}
{{- end -}}
{{- $found | toJson -}}
{{- end -}}
