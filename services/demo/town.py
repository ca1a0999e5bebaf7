"""A small county and its neighbour: areas, places, sources, households. Invented, from a seed.

The codes have the form of GB/T 2260, under a province number that the standard does not give out.
"""

from __future__ import annotations

from random import Random

from services.demo.plan import Area, Person, Place, Source, Town

COUNTY = "cn:980102"
NEIGHBOUR = "cn:980103"
TOWNSHIPS = ("cn:980102001000", "cn:980102002000", "cn:980102003000")
SEAT = TOWNSHIPS[0]
NEIGHBOUR_SEAT = "cn:980103001000"

AREAS = (
    Area("cn:980000", None, "province", "澜江省", "Lanjiang Province"),
    Area("cn:980100", "cn:980000", "prefecture", "澜城市", "Lancheng City"),
    Area(COUNTY, "cn:980100", "county", "云溪县", "Yunxi County"),
    Area(TOWNSHIPS[0], COUNTY, "township", "城关镇", "Chengguan Town"),
    Area(TOWNSHIPS[1], COUNTY, "township", "柳河镇", "Liuhe Town"),
    Area(TOWNSHIPS[2], COUNTY, "township", "石桥乡", "Shiqiao Township"),
    Area(NEIGHBOUR, "cn:980100", "county", "松岭县", "Songling County"),
    Area(NEIGHBOUR_SEAT, NEIGHBOUR, "township", "松岭镇", "Songling Town"),
)

CLINIC = Place("YX-CLINIC", "fever_clinic", SEAT, "云溪县医院发热门诊", "Yunxi fever clinic")
LABORATORY = Place("YX-LAB", "laboratory", SEAT, "云溪县疾控实验室", "Yunxi CDC laboratory")
SCHOOL = Place("YX-SCHOOL", "school", SEAT, "云溪实验小学", "Yunxi Primary School")
STATION = Place("YX-STATION", "station", SEAT, "云溪火车站", "Yunxi railway station")
MARKET = Place("YX-MARKET", "market", SEAT, "城关农贸市场", "Chengguan market")
RESTAURANT = Place(
    "YX-DINER", "restaurant", TOWNSHIPS[1], "柳河人家饭店", "Liuhe Family restaurant"
)
NEIGHBOUR_CLINIC = Place(
    "SL-CLINIC", "fever_clinic", NEIGHBOUR_SEAT, "松岭县医院发热门诊", "Songling fever clinic"
)
NEIGHBOUR_PHARMACY = Place(
    "SL-PHARMACY", "pharmacy", NEIGHBOUR_SEAT, "松岭康民药店", "Kangmin pharmacy, Songling"
)
PHARMACIES = (
    Place("YX-PHARMACY-1", "pharmacy", TOWNSHIPS[0], "仁和药店", "Renhe pharmacy"),
    Place("YX-PHARMACY-2", "pharmacy", TOWNSHIPS[1], "柳河大药房", "Liuhe pharmacy"),
    Place("YX-PHARMACY-3", "pharmacy", TOWNSHIPS[2], "石桥药店", "Shiqiao pharmacy"),
)
CLASSES = tuple(
    Place(f"YX-CLASS-{number}", "classroom", SEAT, f"实验小学{number}班", f"Class {number}")
    for number in range(1, 5)
)
# Name, and how many work there.
FIRMS_WITH_STAFF = (
    ("茶厂", "Tea works", 9), ("纺织厂", "Cotton mill", 13), ("邮局", "Post office", 6),
    ("木器厂", "Joinery", 10), ("县档案馆", "County archive", 6), ("水厂", "Waterworks", 8),
    ("面粉厂", "Flour mill", 12), ("印刷厂", "Printing works", 9), ("客运公司", "Bus company", 11),
    ("食品厂", "Cannery", 14), ("砖厂", "Brickworks", 10), ("农机站", "Tractor station", 7),
)  # fmt: skip
FIRMS = tuple(
    Place(f"YX-FIRM-{number:02}", "work", TOWNSHIPS[number % 3], zh, en)
    for number, (zh, en, _) in enumerate(FIRMS_WITH_STAFF, 1)
)
FIRM_SIZES = dict(
    zip((firm.code for firm in FIRMS), (size for *_, size in FIRMS_WITH_STAFF), strict=True)
)

SOURCES = (
    Source("registry", "register", None, "户籍系统", "household register"),
    Source("venues", "venue", None, "场所码", "venue code app"),
    Source("station", "checkpoint", STATION.code, "车站卡口", "station checkpoint"),
    Source("wristbands", "wearable", SCHOOL.code, "校园手环", "school wristbands"),
    Source("clinic", "fever_clinic", CLINIC.code, "发热门诊", "fever clinic"),
    Source("pharmacy-1", "pharmacy", PHARMACIES[0].code, "仁和药店", "Renhe pharmacy"),
    Source("pharmacy-2", "pharmacy", PHARMACIES[1].code, "柳河大药房", "Liuhe pharmacy"),
    Source("pharmacy-3", "pharmacy", PHARMACIES[2].code, "石桥药店", "Shiqiao pharmacy"),
    Source("school", "school", SCHOOL.code, "实验小学", "primary school"),
    Source("laboratory", "laboratory", LABORATORY.code, "疾控实验室", "CDC laboratory"),
    Source("songling-clinic", "fever_clinic", NEIGHBOUR_CLINIC.code, "松岭门诊", "Songling clinic"),
    Source(
        "songling-pharmacy", "pharmacy", NEIGHBOUR_PHARMACY.code, "松岭药店", "Songling pharmacy"
    ),
)

SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦许何吕施张孔曹严华金魏陶姜"
GIVEN = "安平和宁清明远山川林文武德仁义礼智信春夏秋冬松竹梅兰云溪石桥柳河"
HOUSEHOLDS = 118


def build_town(random: Random) -> Town:
    """The same town from the same seed."""
    fixed = (CLINIC, LABORATORY, SCHOOL, STATION, MARKET, RESTAURANT)
    places = (*fixed, *PHARMACIES, *CLASSES, *FIRMS, NEIGHBOUR_CLINIC, NEIGHBOUR_PHARMACY)
    return Town(
        areas=AREAS,
        places={place.code: place for place in places},
        sources={source.code: source for source in SOURCES},
        persons={person.code: person for person in _people(random)},
    )


def _people(random: Random) -> list[Person]:
    people: list[Person] = []
    # Desks are dealt out at random, so that the two adults of a household work at different firms.
    desks = [firm for firm, size in FIRM_SIZES.items() for _ in range(size)]
    random.shuffle(desks)
    pupils = 0
    for number in range(1, HOUSEHOLDS + 1):
        household = f"H{number:03}"
        area = TOWNSHIPS[random.choices((0, 1, 2), weights=(5, 3, 2))[0]]
        surname = random.choice(SURNAMES)
        members: list[tuple[str, str | None]] = []
        for _ in range(2):
            taken = {daily for _, daily in members}
            desk = next((one for one in desks if one not in taken), None)
            if desk is not None and random.random() < 0.55:
                desks.remove(desk)
                members.append(("worker", desk))
            else:
                members.append(("adult", None))
        for chance in (0.55, 0.2):
            if random.random() < chance:
                members.append(("pupil", CLASSES[pupils % len(CLASSES)].code))
                pupils += 1
        if random.random() < 0.35:
            members.append(("elder", None))
        for role, daily in members:
            name = surname + "".join(random.sample(GIVEN, random.choice((1, 2))))
            people.append(Person(f"P{len(people) + 1:04}", name, household, area, role, daily))
    return people
