{{/* Name of every object: RELEASE-weir, or RELEASE where that has the word already. It always holds "weir": the alert WeirTargetDown looks for it. */}}
{{- define "weir.name" -}}
{{- if contains .Chart.Name .Release.Name -}}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{- else -}}{{ .Release.Name | trunc 47 | trimSuffix "-" }}-{{ .Chart.Name }}{{- end -}}
{{- end }}

{{/* What never changes over the life of a release: selectors are immutable. */}}
{{- define "weir.selector" -}}
app.kubernetes.io/name: weir
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: job
{{- end }}

{{/* The pod of `helm test`. */}}
{{- define "weir.testSelector" -}}
{{ include "weir.selector" . | replace "component: job" "component: test" }}
{{- end }}

{{- define "weir.labels" -}}
{{ include "weir.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: weir
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Labels of what the Prometheus operator selects; the user's win. */}}
{{- define "weir.monitoringLabels" -}}
{{ toYaml (merge (deepCopy .Values.monitoring.labels) (include "weir.labels" . | fromYaml)) }}
{{- end }}

{{/* The user's annotations win. */}}
{{- define "weir.podAnnotations" -}}
{{- $own := dict "kubectl.kubernetes.io/default-container" "weir" -}}
{{- if not .Values.existingConfigMap -}}
{{- $_ := set $own "weir.dev/job-checksum" (include "weir.job" . | sha256sum) -}}
{{- end -}}
{{- if not (and .Values.monitoring.podMonitor (include "weir.operator" .)) -}}
{{- $own = merge $own (dict "prometheus.io/scrape" "true" "prometheus.io/port" "8081" "prometheus.io/path" "/metrics") -}}
{{- end -}}
{{ toYaml (merge (deepCopy .Values.podAnnotations) $own) }}
{{- end }}

{{- define "weir.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* A job's text as JSON. A job may have comments, which are none: they are taken out here, a string is left as it is. */}}
{{- define "weir.asJson" -}}
{{- $job := regexReplaceAll `("(?:[^"\\]|\\.)*")|//[^\n]*|/\*(?s:.*?)\*/` . "${1} " | fromJson -}}
{{- with $job.Error -}}{{ fail (printf "job: no JSON object: %v" .) }}{{- end -}}
{{- toJson $job -}}
{{- end }}

{{- define "weir.nameInJob" -}}
{{- (include "weir.asJson" . | fromJson).name | default "" -}}
{{- end }}

{{/* The job's text; empty when it lies in a ConfigMap that is not the chart's. */}}
{{- define "weir.job" -}}
{{- if and .Values.job .Values.existingConfigMap -}}{{ fail "job and existingConfigMap: give one of them" }}{{- end -}}
{{- if not .Values.existingConfigMap -}}
{{- $text := .Values.job | default (.Files.Get "files/hello.weir.json") -}}
{{- if not (include "weir.nameInJob" $text) -}}{{ fail "job: the job has no name" }}{{- end -}}
{{- $text -}}
{{- end -}}
{{- end }}

{{- define "weir.jobName" -}}
{{- $text := include "weir.job" . -}}
{{- if .Values.jobName -}}{{ .Values.jobName }}{{- else if $text -}}{{ include "weir.nameInJob" $text }}{{- end -}}
{{- end }}

{{/* A duration of Weir in whole seconds, rounded up; nothing where the text is none, as with ${params.x}. */}}
{{- define "weir.seconds" -}}
{{- if regexMatch "^([0-9]+(us|ms|s|m|h|d))+$" . -}}
{{- $us := 0 -}}
{{- range regexFindAll "[0-9]+[a-z]+" . -1 -}}
{{- $unit := get (dict "us" 1 "ms" 1000 "s" 1000000 "m" 60000000 "h" 3600000000 "d" 86400000000) (regexFind "[a-z]+" .) -}}
{{- $us = add $us (mul $unit (regexFind "[0-9]+" . | int64)) -}}
{{- end -}}
{{- div (add $us 999999) 1000000 -}}
{{- end -}}
{{- end }}

{{/*
What a final checkpoint may take: the job's execution.checkpoint.timeout, then stop_timeout, then half a minute for the rest. Where the job cannot be
read here (existingConfigMap, a parameter), the default of that time-out stands for it.
*/}}
{{- define "weir.finalCheckpointSeconds" -}}
{{- $timeout := "" -}}
{{- with include "weir.job" . -}}
{{- $execution := (include "weir.asJson" . | fromJson).execution -}}
{{- $checkpoint := ternary (dict) ($execution | default dict) (not (kindIs "map" $execution)) -}}
{{- $settings := get $checkpoint "checkpoint" -}}
{{- if kindIs "map" $settings -}}{{- $timeout = get $settings "timeout" | toString -}}{{- end -}}
{{- end -}}
{{- $checkpoint := include "weir.seconds" $timeout | default "300" | int64 -}}
{{- $stop := include "weir.seconds" (.Values.config.stop_timeout | default "" | toString) | default "60" | int64 -}}
{{- add $checkpoint $stop 30 -}}
{{- end }}

{{- define "weir.graceSeconds" -}}
{{- .Values.terminationGracePeriodSeconds | default (include "weir.finalCheckpointSeconds" .) | int64 -}}
{{- end }}

{{/* A quantity of Kubernetes, or a size of Weir, in bytes. */}}
{{- define "weir.bytes" -}}
{{- $unit := get (dict "" 1 "B" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "KiB" 1024 "Mi" 1048576 "MiB" 1048576
  "Gi" 1073741824 "GiB" 1073741824 "Ti" 1099511627776) (regexFind "[A-Za-z]*$" .) -}}
{{- mulf (regexFind "^[0-9.]+" . | float64) $unit | floor | int64 -}}
{{- end }}

{{/* Settings of the process, for the container of the job. */}}
{{- define "weir.config" -}}
{{- with .Values.config.memory_limit -}}
{{- $limit := $.Values.resources.limits.memory | toString -}}
{{- if gt (include "weir.bytes" . | int64) (include "weir.bytes" $limit | int64) -}}
{{ fail (printf "config.memory_limit: %s is more than the pod may have (resources.limits.memory: %s); leave it out, and weir takes the pod's" . $limit) }}
{{- end -}}
{{- end -}}
{{- range $name, $value := .Values.config }}
- { name: {{ printf "WEIR_%s" (upper $name) }}, value: {{ $value | toString | quote }} }
{{- end }}
{{- end }}

{{- define "weir.jobConfigMap" -}}
{{ .Values.existingConfigMap | default (printf "%s-job" (include "weir.name" .)) }}
{{- end }}

{{- define "weir.operator" -}}
{{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" -}}true{{- end -}}
{{- end }}

{{/* What makes the restricted Pod Security Standard; the test pod has the same. */}}
{{- define "weir.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "weir.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* Volumes and mounts that the job's files come through: the job and the secrets. */}}
{{- define "weir.inputVolumes" -}}
- name: job
  configMap: { name: {{ include "weir.jobConfigMap" . | quote }} }
{{- range .Values.secrets }}
- name: {{ printf "secret-%s" (. | replace "." "-") | trunc 63 | trimSuffix "-" }}
  secret: { secretName: {{ . | quote }}, defaultMode: 0440 }
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "weir.inputMounts" -}}
- { name: job, mountPath: /etc/weir/job, readOnly: true }
{{- range .Values.secrets }}
- { name: {{ printf "secret-%s" (. | replace "." "-") | trunc 63 | trimSuffix "-" }}, mountPath: {{ printf "/etc/weir/secrets/%s" . | quote }}, readOnly: true }
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The URL of the storage, empty where it is the claim. */}}
{{- define "weir.remoteStorage" -}}
{{- if and .Values.storage.credentialsSecret .Values.storage.roleArn -}}{{ fail "storage.credentialsSecret and storage.roleArn: give one of them" }}{{- end -}}
{{- if and (or .Values.storage.credentialsSecret .Values.storage.roleArn) (not .Values.storage.url) -}}{{ fail "storage.credentialsSecret and storage.roleArn need storage.url" }}{{- end -}}
{{- .Values.storage.url -}}
{{- end }}

{{/* Credentials of the storage. Keys win over a role (docs/storage.md). */}}
{{- define "weir.storageEnv" -}}
{{- with .Values.storage.credentialsSecret }}
{{- range $key := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- { name: {{ $key }}, valueFrom: { secretKeyRef: { name: {{ $.Values.storage.credentialsSecret | quote }}, key: {{ $key }} } } }
{{- end }}
{{- end }}
{{- with .Values.storage.roleArn }}
- { name: AWS_ROLE_ARN, value: {{ . | quote }} }
- { name: AWS_WEB_IDENTITY_TOKEN_FILE, value: /var/run/secrets/weir/identity/token }
{{- end }}
{{- end }}

{{/* Numbers come from a values file as floats: as JSON 2000000 stays 2000000, where %v makes it 2e+06. */}}
{{- define "weir.params" -}}
{{- range $name, $value := .Values.params }}
- -p
- {{ printf "%s=%s" $name (ternary $value (toJson $value) (kindIs "string" $value)) | quote }}
{{- end }}
{{- end }}
