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

{{/* The name in a job's text. A job may have comments, which are no JSON: they are taken out here, a string is left as it is. */}}
{{- define "weir.nameInJob" -}}
{{- $job := regexReplaceAll `("(?:[^"\\]|\\.)*")|//[^\n]*|/\*(?s:.*?)\*/` . "${1} " | fromJson -}}
{{- with $job.Error -}}{{ fail (printf "job: no JSON object: %v" .) }}{{- end -}}
{{- $job.name | default "" -}}
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
