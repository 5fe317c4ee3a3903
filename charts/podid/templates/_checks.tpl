{{- /* What the schema cannot say: each check fails with the value and what to write instead. */ -}}
{{- define "podid.checks" -}}
{{- if not (hasKey .Values "drain") -}}
{{- fail "--reuse-values: these are the values of another chart, its defaults included. Use --reset-then-reuse-values (Helm 3.14 or later), which takes what you had set and nothing else, or --values with a file of your own" -}}
{{- end -}}
{{- $_ := include "podid.standard" . -}}
{{- include "podid.check.images" . -}}
{{- include "podid.check.wayOver" . -}}
{{- if include "podid.isTrue" .Values.rbac.pspEnabled -}}
{{- fail "rbac.pspEnabled: PodSecurityPolicies are gone since Kubernetes 1.25; remove it, and give the namespace the label pod-security.kubernetes.io/enforce: privileged, which NMI's host network needs" -}}
{{- end -}}
{{- range $of := list "mic" "nmi" -}}
{{- $probe := include (printf "podid.%s.probePort" $of) $ -}}
{{- if eq $probe (include (printf "podid.%s.prometheusPort" $of) $) -}}
{{- fail (printf "%s.prometheusPort and %s.probePort are both %s; give two ports" $of $of $probe) -}}
{{- end -}}
{{- end -}}
{{- if and (include "podid.standard" .) (not .Values.mic.cloudConfig) (not .Values.adminsecret) -}}
{{- fail "mic.cloudConfig: MIC has no credentials; name the node's azure.json, or set adminsecret" -}}
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

{{- /* Of a release that still runs aad-pod-identity: Helm has to replace its DaemonSet in place, node by node. `helm template` sees no cluster. */ -}}
{{- define "podid.check.wayOver" -}}
{{- if .Release.IsUpgrade -}}
{{- range $former := (lookup "apps/v1" "DaemonSet" .Release.Namespace "").items -}}
{{- $labels := default dict $former.metadata.labels -}}
{{- if and (hasPrefix "aad-pod-identity-" (default "" (index $labels "helm.sh/chart"))) (eq (default "" (index $labels "app.kubernetes.io/instance")) $.Release.Name) (eq (default "" (index $labels "app.kubernetes.io/component")) "nmi") -}}
{{- $name := $former.metadata.name -}}
{{- if ne $name (include "podid.nmi.name" $) -}}
{{- fail (printf "nameOverride: this release runs aad-pod-identity's DaemonSet %s, and podid's would be called %s: Helm would delete the one before the other is ready, and meanwhile pods would reach the metadata service itself. Set nameOverride: %s, so that it is replaced node by node (docs/migrate-from-aad-pod-identity.md)" $name (include "podid.nmi.name" $) (trimSuffix "-nmi" $name)) -}}
{{- end -}}
{{- with $.Values.nmi.updateStrategy -}}
{{- if has (toString (dig "rollingUpdate" "maxSurge" 0 .)) (list "0" "0%") -}}
{{- fail (printf "nmi.updateStrategy: %s ends a node's aad-pod-identity before podid is ready there, and meanwhile its pods would reach the metadata service itself; remove it from your values" (toJson .)) -}}
{{- end -}}
{{- end -}}
{{- include "podid.check.wayOver.secrets" $ -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* aad-pod-identity's NMI read every Secret for every AzureIdentity; podid's reads those that are named, for those beside them. */ -}}
{{- define "podid.check.wayOver.secrets" -}}
{{- $ownRights := include "podid.isTrue" .Values.rbac.enabled -}}
{{- if or (not $ownRights) (include "podid.isTrue" .Values.rbac.allowAccessToSecrets) -}}
{{- $missing := dict -}}
{{- $foreign := dict -}}
{{- $lent := .Values.nmi.secretNamespaces -}}
{{- range $identity := (lookup "aadpodidentity.k8s.io/v1" "AzureIdentity" "" "").items -}}
{{- $secret := default dict (default dict $identity.spec).clientPassword -}}
{{- if and $secret.name (has (int (default 0 $identity.spec.type)) (list 1 2)) -}}
{{- $namespace := default $identity.metadata.namespace $secret.namespace -}}
{{- if not (or (eq $namespace $identity.metadata.namespace) (has $namespace $lent) (has "*" $lent)) -}}
{{- $_ := set $foreign $namespace (append (default list (get $foreign $namespace)) (printf "%s/%s" $identity.metadata.namespace $identity.metadata.name)) -}}
{{- end -}}
{{- $named := not $ownRights -}}
{{- range $entry := $.Values.rbac.secrets -}}
{{- if and (eq $entry.namespace $namespace) (or (not $entry.names) (has $secret.name (default list $entry.names))) -}}
{{- $named = true -}}
{{- end -}}
{{- end -}}
{{- if not $named -}}
{{- $_ := set $missing $namespace (append (default list (get $missing $namespace)) $secret.name | uniq) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $missing -}}
{{- $entries := list -}}
{{- range $namespace, $names := $missing -}}
{{- $entries = append $entries (dict "namespace" $namespace "names" (sortAlpha $names)) -}}
{{- end -}}
{{- fail (printf "rbac.secrets: AzureIdentities of type 1 and 2 name Secrets that podid's NMI could not read. Add to rbac.secrets: %s" (toJson $entries)) -}}
{{- end -}}
{{- if $foreign -}}
{{- fail (printf "nmi.secretNamespaces: AzureIdentities name Secrets of other namespaces than their own, which podid would refuse. By the Secrets' namespace: %s. Move these Secrets to their AzureIdentities, or set nmi.secretNamespaces: %s" (toJson $foreign) (keys $foreign | sortAlpha | toJson)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
