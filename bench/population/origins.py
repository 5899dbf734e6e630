"""Names and birth countries of people born abroad, and spellings that one given name is written in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """A group of birth countries with common names.

    Attributes:
        countries: INSEE codes.
        weight: share among the foreign-born of the region.
        defaults: relative frequency of default birth dates (31/12, 01/01).
    """

    countries: tuple[str, ...]
    weight: float
    defaults: float
    surnames: tuple[str, ...]
    men: tuple[str, ...]
    women: tuple[str, ...]


_MAGHREB_NAMES = (
    "BENALI BENAMAR BENAISSA BENSAID BEN~AHMED BEN~SALAH BELKACEM BELAID BOUZID BOUDJEMAA BOUAZZA "
    "CHERIF CHAOUI "
    "DJEBBAR FERHAT GHERBI HADDAD HAMDI HAMIDI KACI KADDOUR KHELIFI KHALDI LAHMAR LARBI MANSOURI "
    "MEZIANE MOKRANI "
    "NACER OUALI RAHMANI SAADI SAHRAOUI SLIMANI TAHAR TALBI TOUMI YAHIAOUI ZEROUAL ZIANI AIT~AHMED "
    "AIT~ALI EL~AMRANI "
    "EL~IDRISSI EL~MANSOURI ALAOUI BENNANI BERRADA CHRAIBI FASSI NACIRI TAZI TRABELSI GHARBI JAZIRI AYARI "
    "HAMMAMI BOUGUERRA MERZOUGUI ZAOUI MEBARKI GUERFI BOUKHALFA"
)


def _split(text: str) -> tuple[str, ...]:
    """Names separated by blanks; ``~`` stands for a blank inside a name."""
    return tuple(name.replace("~", " ") for name in text.split())


ORIGINS = (
    Origin(
        ("99352", "99352", "99352", "99350", "99350", "99351"),
        0.42,
        1.6,
        _split(_MAGHREB_NAMES),
        _split(
            "MOHAMED AHMED ALI ABDELKADER ABDALLAH BRAHIM SAID RACHID KARIM MUSTAPHA HASSAN YOUSSEF "
            "OMAR SALAH "
            "TAHAR LARBI KAMEL DJAMEL FARID NOUREDDINE ABDERRAHMANE ABDELAZIZ HOCINE BELKACEM LAKHDAR "
            "SLIMANE "
            "MILOUD AISSA BOUALEM HAMID NASSER KHALED YACINE SOFIANE BILAL"
        ),
        _split(
            "FATIMA FATMA KHADIJA AICHA ZOHRA YAMINA MALIKA NADIA SAMIRA NAIMA DJAMILA FADILA HOURIA RACHIDA "
            "SALIHA ZINEB LEILA KARIMA SOUAD HALIMA OUARDA FARIDA AMINA MERIEM SARAH HANANE NAWEL MESSAOUDA"
        ),
    ),
    Origin(
        ("99208",),
        0.09,
        1.3,
        _split(
            "YILMAZ KAYA DEMIR CELIK SAHIN YILDIZ YILDIRIM OZTURK AYDIN OZDEMIR ARSLAN DOGAN KILIC "
            "ASLAN CETIN KARA "
            "KOC KURT OZKAN SIMSEK POLAT OZCAN KORKMAZ CAKIR ERDOGAN YAVUZ CAN ACAR"
        ),
        _split("MEHMET MUSTAFA AHMET ALI HUSEYIN HASAN IBRAHIM ISMAIL OSMAN YUSUF MURAT OMER RAMAZAN SULEYMAN"),
        _split("FATMA AYSE EMINE HATICE ZEYNEP ELIF MERYEM SULTAN HANIFE OZLEM SEVGI GULSUM YASEMIN"),
    ),
    Origin(
        ("99139", "99139", "99127", "99134"),
        0.2,
        0.05,
        _split(
            "DA~SILVA DA~COSTA DE~OLIVEIRA DE~SOUSA DOS~SANTOS FERREIRA PEREIRA RODRIGUES MARTINS "
            "GONCALVES LOPES "
            "GOMES RIBEIRO FERNANDES CARVALHO TEIXEIRA PINTO ALVES MOREIRA ROSSI RUSSO FERRARI ESPOSITO "
            "BIANCHI "
            "ROMANO COLOMBO GARCIA MARTINEZ LOPEZ SANCHEZ PEREZ GOMEZ HERNANDEZ FERNANDEZ"
        ),
        _split("JOSE ANTONIO MANUEL JOAO CARLOS FRANCISCO LUIS JOAQUIM FERNANDO GIUSEPPE SALVATORE MARIO"),
        _split("MARIA ANA ROSA FERNANDA CARMEN LUCIA TERESA CONCEICAO FATIMA ISABEL GIUSEPPINA ANTONIA"),
    ),
    Origin(
        ("99326", "99341", "99335", "99312", "99324", "99330", "99397", "99333"),
        0.17,
        1.5,
        _split(
            "DIALLO TRAORE COULIBALY KEITA CAMARA DIOP NDIAYE FALL SOW BA BAH BARRY CISSE KONE KOUASSI "
            "KOUAME "
            "TOURE SYLLA DIARRA SISSOKO MBEKI NZUZI MUKENDI ILUNGA TSHIBANGU MBALA NGOMA AHAMADA "
            "SAID~ALI IBRAHIM "
            "RAKOTO RABE ANDRIANJAFY"
        ),
        _split("MAMADOU IBRAHIMA MOUSSA AMADOU OUSMANE ABDOULAYE SEKOU ISSA JEAN JOSEPH PATRICK ABDOU KOFFI"),
        _split("FATOUMATA AMINATA MARIAM AISSATOU AWA KADIATOU HAWA ADAMA MARIE GRACE JEANNE AMINA BINTOU"),
    ),
    Origin(
        ("99206", "99212", "99157", "99125", "99252", "99243", "99234", "99216", "99122", "99114"),
        0.12,
        0.8,
        _split(
            "NGUYEN TRAN LE PHAM HUYNH WANG LI ZHANG CHEN AHMADI RAHIMI HOTAK HAXHIU KRASNIQI GASHI "
            "BERISHA HOXHA "
            "SARGSYAN PETROSYAN HARUTYUNYAN GRIGORYAN KOWALSKI NOWAK POPESCU IONESCU AL~MASRI AL~AHMAD "
            "SOK CHEA"
        ),
        _split("VAN MINH ARMEN ARTUR KARIM AHMAD MOHAMMAD OMID ARBEN AGRON ION JAN WEI TUAN SOKHA"),
        _split("THI LAN ANI MARINE FATIMA MARYAM ZAHRA VALBONA ARTA ELENA ANNA MEI LINH SREY"),
    ),
)

VARIANTS = {
    name: tuple(other for other in group if other != name)
    for group in (
        ("MOHAMED", "MOHAMMED", "MOHAMMAD", "MUHAMMAD", "MOHAMAD"),
        ("AHMED", "AHMAD", "AHMET"),
        ("YOUSSEF", "YOUCEF", "YOUSEF", "YUSUF"),
        ("MUSTAPHA", "MOUSTAPHA", "MUSTAFA", "MOSTEFA"),
        ("FATIMA", "FATMA", "FATEMA"),
        ("KHADIJA", "KHEDIDJA", "KADIJA", "HATICE"),
        ("AICHA", "AISHA", "AYSE"),
        ("SAID", "SAÏD", "SAYD"),
        ("ABDELKADER", "ABD EL KADER", "ABDEL KADER"),
        ("ABDERRAHMANE", "ABD ERRAHMANE", "ABDERAHMANE"),
        ("STÉPHANE", "STEPHAN", "STÉFANE"),
        ("MATHIEU", "MATTHIEU"),
        ("CATHERINE", "KATHERINE"),
        ("CHRISTELLE", "CHRISTEL", "KRISTELLE"),
        ("PHILIPPE", "PHILLIPE", "PHILIPE"),
        ("FRÉDÉRIC", "FRÉDÉRIQUE", "FREDERICK"),
        ("ERIC", "ÉRIC", "ERICK", "ERIK"),
        ("NATHALIE", "NATALIE"),
        ("SYLVIE", "SILVIE"),
        ("ISABELLE", "YSABELLE"),
        ("DANIELLE", "DANIÈLE", "DANIELE"),
        ("MICHÈLE", "MICHELLE"),
        ("GENEVIÈVE", "GENEVIEVE"),
        ("THOMAS", "TOMAS"),
        ("MAXIME", "MAXIM"),
        ("LUCAS", "LUKAS"),
        ("SARAH", "SARA"),
        ("LÉA", "LÉAH", "LEA"),
        ("INÈS", "INES", "YNES"),
        ("LOUIS", "LOUÏS"),
        ("CHLOÉ", "CLOÉ"),
        ("ANAÏS", "ANAÉS"),
        ("MARJORIE", "MARJORY"),
        ("JENNIFER", "JENIFER"),
        ("KÉVIN", "KEVIN", "KÉVYN"),
        ("ELODIE", "ÉLODIE"),
        ("THIERRY", "THIERY"),
        ("PASCALE", "PASCAL"),
        ("JOËL", "JOEL", "JOËLLE"),
    )
    for name in group
}

NICKNAMES = {
    "CATHERINE": ("CATHY",),
    "PATRICIA": ("PAT", "PATTY"),
    "JACQUELINE": ("JACKIE",),
    "ELISABETH": ("BABETH", "LISE"),
    "MARGUERITE": ("MARGOT",),
    "ALEXANDRE": ("ALEX",),
    "ALEXANDRA": ("ALEX",),
    "BENJAMIN": ("BEN",),
    "NICOLAS": ("NICO",),
    "FRÉDÉRIC": ("FRED",),
    "CHRISTOPHE": ("CHRIS",),
    "CHRISTINE": ("CHRIS",),
    "DOMINIQUE": ("DOM",),
    "EMMANUEL": ("MANU",),
    "EMMANUELLE": ("MANUE",),
    "STÉPHANIE": ("STEPH",),
    "VÉRONIQUE": ("VERO",),
    "MICKAËL": ("MIKE", "MICKA"),
    "JOSÉPHINE": ("JOSETTE",),
    "ANTOINETTE": ("TOINETTE",),
    "FRANÇOISE": ("FANFAN",),
    "GÉRARD": ("GEGE",),
    "ROBERT": ("BOB",),
    "DANIEL": ("DANY",),
    "SÉBASTIEN": ("SEB",),
    "SAMUEL": ("SAM",),
    "SAMANTHA": ("SAM",),
    "GABRIELLE": ("GABY",),
    "VALÉRIE": ("VAL",),
    "MAXIMILIEN": ("MAX",),
    "THÉODORE": ("THEO",),
    "VICTORIA": ("VICKY",),
    "JOSEPH": ("JO",),
    "ANTOINE": ("TONY",),
    "ANNE-MARIE": ("ANNIE",),
    "MARIE-JOSÉE": ("MARIJO",),
    "JEAN-PIERRE": ("JP", "JEANPIERRE"),
    "JEAN-CLAUDE": ("JC",),
    "JEAN-PAUL": ("JP",),
    "ABDELKADER": ("KADER",),
    "ABDERRAHMANE": ("RAHMANE",),
    "MOHAMED": ("MOMO",),
    "ZOHRA": ("ZORA",),
}
