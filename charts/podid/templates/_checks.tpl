{{- /* What the schema cannot say: each check fails with the value and what to write instead. */ -}}
{{- define "podid.checks" -}}
{{- $_ := include "podid.standard" . -}}
{{- include "podid.check.images" . -}}
{{- if include "podid.isTrue" .Values.rbac.pspEnabled -}}
{{- fail "rbac.pspEnabled: PodSecurityPolicies are gone since Kubernetes 1.25; remove it, and give the namespace the label pod-security.kubernetes.io/enforce: privileged, which NMI's host network needs" -}}
{{- end -}}
{{- range $of := list "mic" "nmi" -}}
{{- if and (eq (toString (index $.Values $of).prometheusPort) (toString (index $.Values $of).probePort)) (index $.Values $of).probePort -}}
{{- fail (printf "%s.prometheusPort and %s.probePort are both %v; give two ports" $of $of (index $.Values $of).probePort) -}}
{{- end -}}
{{- end -}}
{{- if lt (int .Values.mic.replicas) 0 -}}
{{- fail (printf "mic.replicas: %v is less than 0" .Values.mic.replicas) -}}
{{- end -}}
{{- with .Values.mic.podDisruptionBudget -}}
{{- if and (not (kindIs "invalid" .minAvailable)) (not (kindIs "invalid" .maxUnavailable)) -}}
{{- fail "mic.podDisruptionBudget: minAvailable and maxUnavailable exclude each other; remove one" -}}
{{- end -}}
{{- end -}}
{{- if and (include "podid.isTrue" .Values.nmi.startupCanary) (not .Values.nmi.startupTaint) -}}
{{- fail "nmi.startupCanary: there is no taint that it could wait for; set nmi.startupTaint, as podid.dev/agent-not-ready" -}}
{{- end -}}
{{- if and .Values.nmi.hostNetworkAllow (not (include "podid.isTrue" .Values.nmi.interceptHostNetwork)) -}}
{{- fail "nmi.hostNetworkAllow: nothing of the node is redirected that could be left alone; set nmi.interceptHostNetwork: true" -}}
{{- end -}}
{{- end -}}

{{- define "podid.check.images" -}}
{{- $hint := "podid keeps aad-pod-identity's values but not its images: remove image.repository, mic.image, mic.tag, nmi.image and nmi.tag from your values" -}}
{{- if regexMatch "(?i)(^|/)aad-pod-identity/?$" .Values.image.repository -}}
{{- fail (printf "image.repository: %q holds aad-pod-identity's images; %s, or name a mirror of ghcr.io/podid" .Values.image.repository $hint) -}}
{{- end -}}
{{- range $of := list "mic" "nmi" -}}
{{- $tag := toString (index $.Values $of).tag -}}
{{- if regexMatch "^v?1\\.[0-8]\\." $tag -}}
{{- fail (printf "%s.tag: %q is a version of aad-pod-identity; %s" $of $tag $hint) -}}
{{- end -}}
{{- end -}}
{{- end -}}
