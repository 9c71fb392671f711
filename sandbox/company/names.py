"""Names of people, by country, and of customers and products."""

from __future__ import annotations

FIRST = {
    "US": "Ashley Brandon Caleb Danielle Ethan Grace Hannah Isaiah Jasmine Kevin Latoya Marcus Natalie Owen Priya Quentin"
    " Rachel Samuel Tiffany Victor Wesley Ximena Yolanda Zachary Monique Tyler",
    "GB": "Alistair Bethany Callum Daisy Edmund Freya Gareth Harriet Imogen Jamal Kieran Lydia Nigel Olivia Poppy Rhys"
    " Saskia Tamsin Winston Zara Amara Duncan Eleri Fergus",
    "DE": "Anke Bernd Claudia Dirk Elke Florian Gisela Heiko Ines Jürgen Katrin Lukas Maike Norbert Petra Ralf Silke"
    " Torsten Ute Volker Wiebke Aylin Emre Jana",
    "FR": "Adèle Bastien Camille Damien Élodie Fabrice Gaëlle Hugo Inès Jérôme Karim Laure Mathilde Nicolas Océane Pascal"
    " Quentin Romain Solène Théo Yasmine Aurélie Benoît Clément",
    "ES": "Alba Borja Carmen Diego Elena Fernando Gloria Hugo Inés Javier Laura Marta Nuria Óscar Pilar Raúl Sergio Teresa"
    " Vicente Yolanda Ainhoa Beatriz Iker Jorge",
    "AU": "Angus Brooke Cameron Darcy Ella Flynn Georgia Hamish Isla Jarrah Kirra Lachlan Mei Nathan Piper Riley Sienna"
    " Toby Willow Xavier Zoe Bindi Cooper Tahlia",
    "IN": "Aarav Bhavna Chetan Deepika Esha Farhan Gauri Harish Ishaan Jyoti Kavya Lakshmi Manoj Nandini Omkar Pooja Rahul"
    " Sunita Tarun Usha Vikram Yamini Zoya Arjun",
}
LAST = {
    "US": "Alvarez Brooks Carter Delgado Ellison Foster Greene Hayes Ibrahim Jackson Kowalski Lopez Morgan Nguyen Ortiz"
    " Park Quinn Ramirez Sanders Thompson Underwood Vasquez Walker Young Zimmerman",
    "GB": "Ashworth Bowen Clarke Davies Edwards Fletcher Griffiths Hughes Irving Jenkins Khan Lewis MacLeod Norris Okafor"
    " Pritchard Reid Shah Turner Underhill Vaughan Whitaker Yates",
    "DE": "Albrecht Brandt Çelik Dietrich Engel Fischer Graf Hartmann Jansen Krüger Lehmann Möller Neumann Otto Pohl"
    " Richter Schäfer Thiele Ullrich Vogel Weiß Yilmaz Ziegler",
    "FR": "André Bernard Chevalier Dubois Estève Fournier Garnier Haddad Joly Lambert Mercier Nguyen Olivier Perrin"
    " Renaud Simon Traoré Vidal Weber Lefèvre Moreau Caron",
    "ES": "Aguirre Blanco Castillo Domínguez Etxeberria Fuentes Garrido Herrera Iglesias Jiménez León Molina Navarro Ortega"
    " Prieto Quintana Romero Santos Torres Vidal Núñez Ferrer",
    "AU": "Armstrong Baker Chen Doyle Evans Fraser Gallagher Harris Irwin Johnston Kelly Lawson Murphy Nolan O'Brien Papas"
    " Rossi Stewart Tran Walsh Webb Nguyen Wilson",
    "IN": "Agarwal Bhat Chatterjee Desai Fernandes Ghosh Hegde Iyer Joshi Kapoor Mehta Nair Ojha Patel Rao Sharma"
    " Thakur Varma Yadav Menon Pillai Singh Gupta",
}
CUSTOMER = (
    "Amber Arden Bellweather Blue Briar Castle Cedar Clear Cobalt Copper Crest Delta Dover Eagle East Elm Falcon Fern Fox"
    " Garnet Glen Gold Granite Green Harbor Hazel High Iron Ivy Juniper Kestrel Lark Linden Maple Marble North Oak Onyx"
    " Otter Pine Quarry Raven Red River Rowan Sable Salt Silver South Stone Summit Teal Thorn Tower Vale West Willow Wren"
).split()
TRADE = (
    "Aerospace Bank Bearings Biotech Brewing Cables Ceramics Chemicals Clinics Coatings Components Dairy Diagnostics"
    " Electric Energy Farms Fibre Filters Foods Freight Glass Hotels Instruments Insurance Interiors Labs Logistics Marine"
    " Materials Media Metals Mills Mining Motors Networks Optics Packaging Paper Pharma Plastics Power Precision Rail"
    " Retail Robotics Seeds Steel Systems Textiles Tools Transit Utilities Valves Water Works"
).split()
PRODUCT = ("Renewal", "Platform", "Upgrade", "Pilot", "Expansion", "Service plan", "Starter", "Migration")
NEXT_STEP = (
    "Send the revised quote",
    "Call procurement about the order form",
    "Demo for the plant team",
    "Legal sends their comments",
    "Meet the new head of operations",
    "Confirm the start date",
    "References from two customers",
    "Price approval on our side",
    "Follow up after the trade fair",
    "Technical questions to presales",
)
SUBJECT = {
    "Call": ("Call with the buyer", "Follow-up call", "Call about the offer"),
    "Email": ("Email: offer", "Email: answers to questions", "Email: next steps"),
    "Task": ("Prepare the offer", "Send the contract", "Check the credit limit", "Update the price list"),
    "Meeting": ("Visit", "Demo", "Quarterly review"),
}
