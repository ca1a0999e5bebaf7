"""The lines told while the town lives its week, in both languages."""

from __future__ import annotations

from services.demo.plan import Told

LINES: dict[str, Told] = {
    name: Told(zh, en)
    for name, zh, en in (
        ("day1", "第1天 星期一", "Day 1, Monday"),
        ("day2", "第2天 星期二", "Day 2, Tuesday"),
        ("day3", "第3天 星期三", "Day 3, Wednesday"),
        ("day4", "第4天 星期四", "Day 4, Thursday"),
        ("day5", "第5天 星期五", "Day 5, Friday"),
        ("day6", "第6天 星期六", "Day 6, Saturday"),
        (
            "noise",
            "两个点、三个人：平常的星期一，不预警",
            "two points, three persons: an ordinary Monday, no alert",
        ),
        ("fever", "车站测温37.9℃：请到一旁复测", "37.9 °C at the station: hold"),
        (
            "neighbour",
            "邻县也亮两个点：同一天，但不在同一个县",
            "two points light up next door: same day, another county",
        ),
        ("twice", "断网后重发：整批重复，一行不多", "a bundle sent twice: duplicates, not rows"),
        ("clinic", "发热门诊亮起：38.6℃", "the fever clinic lights up: 38.6 °C"),
        ("pharmacy", "药店亮起：三人购退热药", "a pharmacy lights up: antipyretics for three"),
        (
            "school",
            "学校亮起：四名学生发热缺课 → 多点触发预警",
            "the school lights up: four absent with fever → multi-point alert",
        ),
        (
            "first",
            "阳性结果 → 病例 → 密接、次密接 → 隔离管控",
            "a positive result → case → contacts of both degrees → orders",
        ),
        (
            "held",
            "一名密接者在车站刷码：拦截，违规预警",
            "a contact is scanned at the station: hold, and a breach alert",
        ),
        ("permitted", "持转运证明者：核对，不算违规", "another has a permit: check, no breach"),
        (
            "offline",
            "迟到的记录：管控前的刷码，不算违规",
            "a late row: scanned before the order, no breach",
        ),
        (
            "second",
            "第二个阳性：与首例有共同密接",
            "a second positive result: the two cases share a contact",
        ),
        (
            "discard",
            "首例系标本混淆，予以排除 → 由其而起的一切撤回",
            "the first case was a mix-up: discarded, and all that rested on it is withdrawn",
        ),
    )
}
