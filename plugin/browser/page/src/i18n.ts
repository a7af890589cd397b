// The page's words, in the two languages that its readers have. What events and rules of one's own say stays as it is;
// zh.json has what the engine and its rules say; tests in plugin/browser/src/lib.rs see to it that nothing is missing there.
import type { Said } from "./types";
import engine from "./zh.json";

const en = {
  title: "Audit centre",
  overview: "Overview",
  operations: "Operations",
  resource: "Resource",
  cves: "CVE risks",
  containers: "Containers",
  events: "Events",
  playground: "Playground",
  language: "Language",
  theme: "Theme",
  theme_auto: "System",
  theme_light: "Light",
  theme_dark: "Dark",
  skip: "Skip to the report",
  pages: "Pages",
  filters: "Filters",
  namespace: "Namespace",
  user: "User",
  user_type: "Kind of user",
  code: "Status code",
  severity: "Severity",
  tag: "Tag",
  rule: "Rule",
  alert: "Alert",
  class: "Class",
  verb: "Verb",
  action: "Action",
  outcome: "Outcome",
  source_ip: "Source address",
  scope: "Scope",
  pod: "Pod",
  route: "Route",
  time: "Time (UTC)",
  from: "From (UTC)",
  to: "To (UTC)",
  search: "Message contains",
  add_filter: "add…",
  clear: "Clear all",
  remove: "Remove filter",
  no_data: "This page has no report in it yet.",
  no_data_hint: "Drop an audit log into the playground, and the reports show it. Nothing leaves the browser.",
  open_playground: "Open the playground",
  reading: "Reading the events…",
  no_events: "No event meets these filters.",
  over_time: "Events over time",
  by_severity: "by severity",
  by_action: "by action",
  chart_hint: "A click on a bar shows that time alone.",
  as_table: "As a table",
  begins: "Begins (UTC)",
  all_events: "Events",
  grave_events: "High and critical",
  failures: "Failures",
  operators: "Operators",
  top_operators: "Top operators",
  sources: "Source addresses",
  high_risk_list: "on a list of high-risk addresses",
  priorities: "High-priority events",
  "ram-users": "RAM users",
  "public-access": "Access from public addresses",
  "container-commands": "Commands in containers",
  deletions: "Deletions",
  "secret-access": "Secret access",
  "cve-risks": "CVE risks",
  last: "Last",
  first: "First",
  alerts: "Alerts",
  no_alerts: "No correlation has fired.",
  group: "Group",
  fired_on: "Fired on",
  highest: "Highest count",
  window: "Window",
  rules: "Rules that hold most often",
  codes: "Status codes",
  outcomes: "Outcomes",
  kind: "Kind",
  name: "Name",
  address: "Address",
  show_more: "Show all",
  show_less: "Show fewer",
  of: "of",
  compute: "Compute",
  network: "Network",
  storage: "Storage",
  "access-control": "Access control",
  other: "Other resources",
  "non-resource": "No resource",
  create: "Creates",
  update: "Updates",
  delete: "Deletes",
  access: "Accesses",
  pick_resource: "Resource, as kubectl names it",
  pick_resource_hint: "such as deployments.apps, pods/exec or a custom resource",
  success_rate: "Success rate",
  namespaces: "Namespaces",
  verbs: "Verbs",
  no_cves: "No trace of a known vulnerability.",
  no_commands: "No command ran in a container.",
  sessions: "Sessions",
  sessions_hint: "Commands by one account in one container, at most 15 minutes apart; the gravest first.",
  accounts: "Accounts",
  pods: "Pods",
  more_commands: "more",
  list_of: "List of events",
  message: "What happened",
  open_event: "Open event",
  close: "Close",
  why: "Why it is here",
  raw: "The event",
  about_event: "event",
  about_policy: "policy",
  about_level: "level",
  about_cut: "cut",
  about_operator: "operator",
  about_source: "source",
  about_action: "action",
  about_exec: "exec",
  about_rules: "rules",
  about_alerts: "alerts",
  about_route: "route",
  about_fate: "fate",
  no_why: "This event was filtered before the report was written; its audit member says what was found.",
  severity_none: "no rule",
  severity_informational: "informational",
  severity_low: "low",
  severity_medium: "medium",
  severity_high: "high",
  severity_critical: "critical",
  policy: "Policy",
  rules_file: "Rules",
  configuration: "Configuration",
  texts: "What to try",
  editor_hint: "Tab indents. Escape, then Tab, leaves the editor.",
  start_from: "Start from",
  log: "Log",
  drop: "Drop an audit log here, or",
  choose_file: "choose a file",
  paste: "Paste events",
  use_sample: "Use the sample",
  paste_hint: "One event a line",
  share: "Share",
  share_hint: "The link carries the texts and the first events. Whoever has it sees them.",
  share_none: "without events: they are too large for a link",
  copy: "Copy",
  copied: "Copied",
  result: "Result",
  read: "Read",
  kept: "Kept",
  trimmed: "Trimmed",
  dropped: "Dropped",
  tagged: "Tagged",
  passed_through: "Passed through",
  filtered_before: "Filtered before",
  saved: "Bytes saved",
  routes: "Routes",
  tags: "Tags",
  problems: "Problems",
  line: "line",
  error: "error",
  warning: "warning",
  no_problems: "Nothing is wrong with the policy, the rules or the configuration.",
  unusable: "The numbers are those of the last texts that could be used.",
  any_fate: "All",
  filtering: "Filtering…",
  broken: "The page cannot show its report",
  privacy: "Everything is computed in this page. It loads nothing and sends nothing.",
} as const;

export type Word = keyof typeof en;

const zh: Record<Word, string> = {
  title: "审计中心",
  overview: "概览",
  operations: "资源操作",
  resource: "资源详情",
  cves: "CVE 风险",
  containers: "容器",
  events: "事件",
  playground: "演练场",
  language: "语言",
  theme: "主题",
  theme_auto: "跟随系统",
  theme_light: "浅色",
  theme_dark: "深色",
  skip: "跳到报表",
  pages: "页面",
  filters: "筛选",
  namespace: "命名空间",
  user: "用户",
  user_type: "用户类型",
  code: "状态码",
  severity: "严重级别",
  tag: "标签",
  rule: "规则",
  alert: "告警",
  class: "资源类别",
  verb: "动词",
  action: "操作",
  outcome: "结果",
  source_ip: "源地址",
  scope: "地址范围",
  pod: "Pod",
  route: "路由",
  time: "时间 (UTC)",
  from: "开始 (UTC)",
  to: "结束 (UTC)",
  search: "消息包含",
  add_filter: "添加…",
  clear: "全部清除",
  remove: "移除筛选",
  no_data: "此页面中还没有报表。",
  no_data_hint: "将审计日志拖入演练场，报表即会显示。数据不会离开浏览器。",
  open_playground: "打开演练场",
  reading: "正在读取事件…",
  no_events: "没有符合筛选条件的事件。",
  over_time: "事件趋势",
  by_severity: "按严重级别",
  by_action: "按操作",
  chart_hint: "点击柱形可只看该时间段。",
  as_table: "以表格显示",
  begins: "开始时间 (UTC)",
  all_events: "事件数",
  grave_events: "高危及严重",
  failures: "失败",
  operators: "操作者",
  top_operators: "操作者排行",
  sources: "源地址",
  high_risk_list: "在高风险地址列表中",
  priorities: "高优先级事件",
  "ram-users": "RAM 用户",
  "public-access": "公网访问",
  "container-commands": "容器内执行命令",
  deletions: "删除操作",
  "secret-access": "Secret 访问",
  "cve-risks": "CVE 风险",
  last: "最近",
  first: "最早",
  alerts: "告警",
  no_alerts: "没有触发关联告警。",
  group: "分组",
  fired_on: "触发次数",
  highest: "最高计数",
  window: "时间窗口",
  rules: "命中最多的规则",
  codes: "状态码",
  outcomes: "结果",
  kind: "类型",
  name: "名称",
  address: "地址",
  show_more: "显示全部",
  show_less: "收起",
  of: "/",
  compute: "计算",
  network: "网络",
  storage: "存储",
  "access-control": "访问控制",
  other: "其他资源",
  "non-resource": "非资源",
  create: "创建",
  update: "更新",
  delete: "删除",
  access: "访问",
  pick_resource: "资源 (kubectl 名称)",
  pick_resource_hint: "例如 deployments.apps、pods/exec 或自定义资源",
  success_rate: "成功率",
  namespaces: "命名空间",
  verbs: "动词",
  no_cves: "没有发现已知漏洞的痕迹。",
  no_commands: "没有在容器内执行的命令。",
  sessions: "会话",
  sessions_hint: "同一账号在同一容器内、间隔不超过 15 分钟的命令；风险最高的在前。",
  accounts: "账号",
  pods: "Pod",
  more_commands: "更多",
  list_of: "事件列表",
  message: "发生了什么",
  open_event: "打开事件",
  close: "关闭",
  why: "判定原因",
  raw: "事件原文",
  about_event: "事件",
  about_policy: "策略",
  about_level: "级别",
  about_cut: "裁剪",
  about_operator: "操作者",
  about_source: "来源",
  about_action: "操作",
  about_exec: "命令",
  about_rules: "规则",
  about_alerts: "告警",
  about_route: "路由",
  about_fate: "结果",
  no_why: "此事件在生成报表之前已被过滤；其 audit 成员说明了判定结果。",
  severity_none: "无规则",
  severity_informational: "信息",
  severity_low: "低",
  severity_medium: "中",
  severity_high: "高",
  severity_critical: "严重",
  policy: "策略",
  rules_file: "规则",
  configuration: "配置",
  texts: "编辑内容",
  editor_hint: "Tab 键缩进；先按 Esc 再按 Tab 离开编辑器。",
  start_from: "起始模板",
  log: "日志",
  drop: "将审计日志拖到此处，或",
  choose_file: "选择文件",
  paste: "粘贴事件",
  use_sample: "使用示例",
  paste_hint: "每行一个事件",
  share: "分享",
  share_hint: "链接包含编辑内容和前几个事件，持有链接者均可看到。",
  share_none: "不含事件：事件过大，无法放入链接",
  copy: "复制",
  copied: "已复制",
  result: "结果",
  read: "读取",
  kept: "保留",
  trimmed: "裁剪",
  dropped: "丢弃",
  tagged: "打标签",
  passed_through: "原样通过",
  filtered_before: "此前已过滤",
  saved: "节省字节",
  routes: "路由",
  tags: "标签",
  problems: "问题",
  line: "行",
  error: "错误",
  warning: "警告",
  no_problems: "策略、规则和配置均无问题。",
  unusable: "当前数字来自最近一次可用的内容。",
  any_fate: "全部",
  filtering: "正在过滤…",
  broken: "页面无法显示报表",
  privacy: "所有计算都在本页面内完成，不加载也不发送任何数据。",
};

export type Language = "en" | "zh";

const words: Record<Language, Record<Word, string>> = { en, zh };

let language: Language = navigator.language.startsWith("zh") ? "zh" : "en";

export function currentLanguage(): Language {
  return language;
}

export function setLanguage(next: Language): void {
  language = next;
  document.documentElement.lang = next === "zh" ? "zh-CN" : "en";
  document.title = t("title");
}

/** A word in the reader's language. */
export function t(word: Word): string {
  return words[language][word];
}

const chinese = new Map(Object.values(engine).flatMap((part) => Object.entries<string>(part)));

/** What the engine says in English, in the reader's language; itself where it is not the engine's. */
export function said(english: string): string {
  return (language === "zh" && chinese.get(english)) || english;
}

/** A word for a name that the engine gives, or the name itself where there is none. */
export function named(name: string): string {
  return Object.hasOwn(en, name) ? t(name as Word) : said(name);
}

/** A tag, in Chinese with what it is called in rules and filters. */
export function tagged(tag: string): string {
  const words = said(tag);
  return words === tag ? tag : `${words} (${tag})`;
}

/** A sentence of the engine's. */
export function tell(sentence: Said): string {
  if (typeof sentence === "string") return sentence;
  const [template, ...texts] = sentence.map((part, index) => (index === 0 ? said(String(part)) : tell(part)));
  return texts.length === 0 ? template ?? "" : (template ?? "").replaceAll("{}", () => texts.shift() ?? "");
}

const locale = () => (language === "zh" ? "zh-CN" : "en-GB");

export function number(value: number): string {
  return value.toLocaleString(locale());
}

export function percent(part: number, whole: number): string {
  const share = whole > 0 ? part / whole : 0;
  return share.toLocaleString(locale(), { style: "percent", maximumFractionDigits: 1 });
}

export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  let scaled = Math.abs(value);
  while (scaled >= 1024 && unit < units.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || scaled >= 100 ? 0 : 1;
  return `${value < 0 ? "−" : ""}${scaled.toLocaleString(locale(), { maximumFractionDigits: digits })} ${units[unit]}`;
}

/** A time in UTC, as the log has it. */
export function time(milliseconds: number | null): string {
  if (milliseconds === null) return "–";
  return new Date(milliseconds).toISOString().slice(0, 19).replace("T", " ");
}

/** A time without its date, for labels on one day. */
export function clock(milliseconds: number, width: number): string {
  const text = time(milliseconds);
  if (width >= 24 * 3600 * 1000) return text.slice(5, 10);
  return width >= 60 * 1000 ? text.slice(11, 16) : text.slice(11);
}
